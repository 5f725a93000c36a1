"""A user's own function: called, told when it raises, ended when it stalls."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import psutil
import pytest

from rtrecon.closed_loop.user_callback import Function
from rtrecon.config import PythonSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

OWN = """
    import json
    import os
    import time
    from pathlib import Path

    import neighbour

    NOTES = Path(__file__).with_name("notes.jsonl")

    def react(event):
        if event.rule == "raise":
            raise RuntimeError("the lamp is off")
        if event.rule == "stall":
            time.sleep(1000)
        if event.rule == "die":
            os._exit(7)
        with NOTES.open("a") as notes:
            note = [event.rule, event.value, event.frame, neighbour.NAME, os.getpid()]
            notes.write(json.dumps(note) + chr(10))
"""
DEADLINE_S = 5.0  # for what answers at once; a stall takes as long as this
STALL_S = 0.3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(textwrap.dedent(OWN))
    (tmp_path / "neighbour.py").write_text("NAME = 'next door'\n")
    return tmp_path


@pytest.fixture
def function(folder):
    made = []

    def make(name: str = "own.py:react", **settings: object) -> Function:
        given = {"deadline_s": DEADLINE_S, "function": str(folder / name), **settings}
        made.append(Function(PythonSettings(**given)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def event(rule: str) -> messages.Event:
    return messages.Event(
        session="s", seq=0, t=1.0, name="react", rule=rule, value=0.5, frame=3
    )


def notes(folder: Path) -> list[list]:
    path = folder / "notes.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def test_it_is_called_with_the_event_in_a_process_of_its_own(folder, function):
    own = function()
    own.open()
    own.fire(event("a"))
    own.fire(event("b"))
    [[*first, pid], [*_, same]] = notes(folder)
    assert first == ["a", 0.5, 3, "next door"]
    assert pid == same != psutil.Process().pid
    own.close()
    assert not psutil.pid_exists(pid)


def test_one_that_raises_is_told_and_called_again(folder, function):
    own = function()
    own.open()
    with pytest.raises(UserError, match=r"react raised RuntimeError: the lamp is off"):
        own.fire(event("raise"))
    own.open()
    own.fire(event("a"))
    assert [note[0] for note in notes(folder)] == ["a"]


def test_one_that_stalls_is_ended_and_started_again_up_to_a_limit(folder, function):
    own = function(deadline_s=STALL_S, max_restarts=1)
    for _ in range(2):
        own.open()
        with pytest.raises(UserError, match=r"was not done after 0.3 s and was ended"):
            own.fire(event("stall"))
    with pytest.raises(UserError, match="ended 2 times and is not called again"):
        own.open()


def test_one_that_takes_its_process_with_it_is_started_again(folder, function):
    own = function()
    own.open()
    with pytest.raises(UserError, match="ended by itself"):
        own.fire(event("die"))
    own.open()
    own.fire(event("a"))
    assert [note[0] for note in notes(folder)] == ["a"]


# a function's name, what its file says -> words of the sentence that it earns
UNLOADABLE = {
    "broken.py:react": ("1 / 0", "cannot be loaded: ZeroDivisionError"),
    "empty.py:react": ("", "cannot be loaded: AttributeError: .*react"),
}


@pytest.mark.parametrize("name", UNLOADABLE)
def test_one_that_cannot_be_loaded_says_why(folder, function, name):
    text, words = UNLOADABLE[name]
    (folder / name.split(":")[0]).write_text(text)
    with pytest.raises(UserError, match=words):
        function(name).open()


def test_one_of_an_installed_module_is_found(function):
    own = function(function="json:dumps", deadline_s=DEADLINE_S)
    own.open()
    with pytest.raises(UserError, match="json:dumps raised TypeError"):
        own.fire(event("a"))
