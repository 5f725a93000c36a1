"""[react] as a whole: what it says, and the mistakes that one makes in it."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon import config
from rtrecon.closed_loop.rule import Change
from rtrecon.closed_loop.rules import read_rules
from rtrecon.config import ReactSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

WHEN = "quality.activity_correlation < 0.1"
LOST = {"name": "lost", "when": WHEN}
TTL = {"ttl": {"port": "COM3"}}

# a [react] section -> words of the sentence that it earns
MISTAKES = {
    "grammar": (
        {"rules": [{"name": "x", "when": "quality < 1"}]},
        "rule 'x': 'quality' is nothing",
    ),
    "field": (
        {"rules": [{"name": "x", "when": "quality.r < 1"}]},
        "rule 'x': quality has no 'r'",
    ),
    "release": ({"rules": [{**LOST, "until": 0}]}, "rule 'lost': until = 0 lies below"),
    "no such output": (
        {"rules": [{**LOST, "outputs": ["led"]}], "serial": TTL},
        "no output 'led'; known: ttl",
    ),
    "two rules of a name": ({"rules": [LOST, LOST]}, "two rules .* called 'lost'"),
    "two outputs of a name": (
        {"serial": TTL, "nidaq": {"ttl": {"line": "Dev1/port0/line0"}}},
        "two outputs .* called 'ttl'",
    ),
    "no such file": (
        {"python": {"mine": {"function": "nowhere.py:flash"}}},
        "there is no file nowhere.py to take 'flash' from",
    ),
    "no function": ({"python": {"mine": {"function": "flash"}}}, "names no function"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_a_sentence(case):
    section, words = MISTAKES[case]
    with pytest.raises(UserError, match=words):
        read_rules(ReactSettings.model_validate(section))


def test_a_message_becomes_a_firing_with_a_sentence():
    [watched] = read_rules(ReactSettings.model_validate({"rules": [LOST]}))

    def judged(value: float | None):
        message = messages.Quality(
            session="s", seq=0, t=1.0, index=1, lag=1.0, activity_correlation=value
        )
        return watched.judge(message, np.empty(0))

    assert judged(None) is None
    fired = judged(0.03)
    assert (fired.change, fired.value) == (Change.FIRED, 0.03)
    assert fired.sentence == f"rule 'lost': {WHEN}; it is 0.03"
    assert judged(0.04) is None
    assert judged(0.2).sentence == f"rule 'lost' is over: {WHEN}; it is 0.2"


TOML = """
[react]
dry_run = true
[[react.rules]]
name = "seen"
when = "similarity(grating) > 0.3"
for_s = 0.5
outputs = ["ttl", "mine"]
[react.groups]
left = [1, 2]
[react.targets]
grating = "clips/grating.mp4"
[react.serial.ttl]
port = "COM3"
signal = "rts"
[react.python.mine]
function = "reaction.py:flash"
[react.python.theirs]
function = "package.module:function"
"""


def test_it_is_written_as_tables_and_paths_are_relative_to_the_file(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(TOML, encoding="utf-8")
    react = config.load(path).react
    assert react.targets == {"grating": str(tmp_path / "clips" / "grating.mp4")}
    assert react.python["mine"].function == f"{tmp_path / 'reaction.py'}:flash"
    assert react.python["theirs"].function == "package.module:function"
    assert react.serial["ttl"].signal == "rts"
    assert react.groups == {"left": [1, 2]}


# a settings file -> words of the one sentence that it earns
WRONG = {
    "[[react.rules]]\nname = 'x'": r"'react.rules.0.when' = .*Field required",
    "[[react.rules]]\nname = 'x'\nwhen = 'y'\nfor = 1": "unknown key 'react.rules.0"
    ".for'; known here: dry_run, for_s, name",
    "[react.serial.ttl]\nport = 'COM3'\nbyte = 300": "'react.serial.ttl.byte' = 300",
    "[react.serial.ttl]\nport = 'COM3'\nbit = 3": "unknown key 'react.serial.ttl.bit'"
    "; known here: baud, byte",
    "[react]\nrule = 3": "unknown key 'react.rule'; known here: dry_run, groups",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_within_a_table_is_told_with_its_place(tmp_path, text):
    path = tmp_path / "rig.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=WRONG[text]) as caught:
        config.load(path)
    assert "\n" not in str(caught.value)
