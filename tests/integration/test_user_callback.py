"""A user's function: called, reported when it raises, ended when it stalls."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import psutil
import pytest

from rtrecon.closed_loop.user_callback import UserCallback
from rtrecon.config import PythonSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

CALLBACK_FILE = """
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
DEADLINE_S = 5.0  # for functions that return at once
STALL_S = 0.3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(textwrap.dedent(CALLBACK_FILE))
    (tmp_path / "neighbour.py").write_text("NAME = 'next door'\n")
    return tmp_path


@pytest.fixture
def make_callback(folder):
    made = []

    def make(name: str = "own.py:react", **settings: object) -> UserCallback:
        given = {"deadline_s": DEADLINE_S, "function": str(folder / name), **settings}
        made.append(UserCallback(PythonSettings(**given)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def event(rule: str) -> messages.Event:
    return messages.Event(
        session="s", seq=0, t=1.0, name="rule_fired", rule=rule, value=0.5, frame=3
    )


def notes(folder: Path) -> list[list]:
    path = folder / "notes.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def test_the_function_is_called_with_the_event_in_another_process(
    folder, make_callback
):
    callback = make_callback()
    callback.open()
    callback.trigger(event("a"))
    callback.trigger(event("b"))
    [[*first, pid], [*_, same]] = notes(folder)
    assert first == ["a", 0.5, 3, "next door"]
    assert pid == same != psutil.Process().pid
    callback.close()
    assert not psutil.pid_exists(pid)


def test_a_function_that_raises_is_reported_and_called_again(folder, make_callback):
    callback = make_callback()
    callback.open()
    with pytest.raises(UserError, match=r"react raised RuntimeError: the lamp is off"):
        callback.trigger(event("raise"))
    callback.open()
    callback.trigger(event("a"))
    assert [note[0] for note in notes(folder)] == ["a"]


def test_a_function_that_stalls_is_ended_and_restarted_up_to_a_limit(
    folder, make_callback
):
    callback = make_callback(deadline_s=STALL_S, max_restarts=1)
    for _ in range(2):
        callback.open()
        with pytest.raises(
            UserError, match=r"did not finish within 0.3 s and was ended"
        ):
            callback.trigger(event("stall"))
    with pytest.raises(UserError, match="ended 2 times and is not called again"):
        callback.open()


def test_a_function_that_ends_its_process_is_restarted(folder, make_callback):
    callback = make_callback()
    callback.open()
    with pytest.raises(UserError, match="ended its process"):
        callback.trigger(event("die"))
    callback.open()
    callback.trigger(event("a"))
    assert [note[0] for note in notes(folder)] == ["a"]


# function name -> its file, words of the error
UNLOADABLE = {
    "broken.py:react": ("1 / 0", "cannot be loaded: ZeroDivisionError"),
    "empty.py:react": ("", "cannot be loaded: AttributeError: .*react"),
}


@pytest.mark.parametrize("name", UNLOADABLE)
def test_a_function_that_cannot_be_loaded_is_explained(folder, make_callback, name):
    text, words = UNLOADABLE[name]
    (folder / name.split(":")[0]).write_text(text)
    with pytest.raises(UserError, match=words):
        make_callback(name).open()


def test_a_function_of_an_installed_module_is_called(make_callback):
    callback = make_callback(function="json:dumps", deadline_s=DEADLINE_S)
    callback.open()
    with pytest.raises(UserError, match="json:dumps raised TypeError"):
        callback.trigger(event("a"))
