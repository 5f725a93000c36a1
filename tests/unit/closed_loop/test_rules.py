"""The section [closed_loop] as a whole, and mistakes in it."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon import config
from rtrecon.closed_loop.rule import RuleChange
from rtrecon.closed_loop.rules import bind_rules, make_requests
from rtrecon.config import ClosedLoopSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.stimulus_space.video import VIDEO

WHEN = "quality.activity_correlation < 0.1"
LOST = {"name": "lost", "when": WHEN}
TTL = {"ttl": {"port": "COM3"}}

# [closed_loop] section -> words of the error
MISTAKES = {
    "grammar": (
        {"rules": [{"name": "x", "when": "quality < 1"}]},
        "rule 'x': 'quality' is not a value",
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
    "two rules of a name": (
        {"rules": [LOST, LOST]},
        "two rules .* have the name 'lost'",
    ),
    "two outputs of a name": (
        {"serial": TTL, "nidaq": {"ttl": {"line": "Dev1/port0/line0"}}},
        "two outputs .* have the name 'ttl'",
    ),
    "no such file": (
        {"python": {"mine": {"function": "nowhere.py:flash"}}},
        "there is no file nowhere.py with a function 'flash'",
    ),
    "no function": (
        {"python": {"mine": {"function": "flash"}}},
        "does not name a function",
    ),
}


MORE = {"light_budget_s": 20.0, "interval_s": 60.0, "duration_s": 600.0}
ASKING = {**LOST, "outputs": ["more"], "refractory_s": 3600.0}

# [closed_loop] section -> words of the error of the settings
LIGHT_MISTAKES = {
    "no budget": (
        {"rules": [ASKING], "micromanager": {"more": {"refocus": True}}},
        "light_budget_s",
    ),
    "no refractory time": (
        {"rules": [{**ASKING, "refractory_s": 0}], "micromanager": {"more": MORE}},
        "rule 'lost' asks for light on the cells .* give it refractory_s",
    ),
    "half a series": (
        {"micromanager": {"more": {**MORE, "duration_s": None}}},
        "need each other",
    ),
    "an endless interval": (
        {"micromanager": {"more": {**MORE, "duration_s": 30.0}}},
        "must not be shorter than interval_s",
    ),
}


@pytest.mark.parametrize("case", LIGHT_MISTAKES)
def test_settings_refuse_light_without_limits(case):
    section, words = LIGHT_MISTAKES[case]
    with pytest.raises(ValueError, match=words):
        ClosedLoopSettings.model_validate(section)


def test_a_rule_s_requests_carry_its_limits():
    settings = ClosedLoopSettings.model_validate(
        {"rules": [ASKING], "micromanager": {"more": MORE}}
    )
    bind_rules(settings, VIDEO)
    [request] = make_requests(settings.rules[0], settings)
    assert request == messages.AcquisitionRequest(
        output="more",
        light_budget_s=20.0,
        refractory_s=3600.0,
        interval_s=60.0,
        duration_s=600.0,
    )


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_refused_with_a_sentence(case):
    section, words = MISTAKES[case]
    with pytest.raises(UserError, match=words):
        bind_rules(ClosedLoopSettings.model_validate(section), VIDEO)


def test_a_message_becomes_a_rule_event_with_a_sentence():
    [bound] = bind_rules(ClosedLoopSettings.model_validate({"rules": [LOST]}), VIDEO)

    def update(value: float | None):
        metrics = {} if value is None else {"activity_correlation": value}
        message = messages.Quality(
            session="s", seq=0, t=1.0, encoder_frame=1, lag_s=1.0, metrics=metrics
        )
        return bound.update(message, np.empty(0))

    assert update(None) is None
    fired = update(0.03)
    assert (fired.change, fired.value) == (RuleChange.FIRED, 0.03)
    assert fired.sentence == f"rule 'lost' fired: {WHEN}; the value is 0.03"
    assert update(0.04) is None
    assert update(0.2).sentence == f"rule 'lost' is released: {WHEN}; the value is 0.2"


TOML = """
[closed_loop]
dry_run = true
[[closed_loop.rules]]
name = "seen"
when = "similarity(grating) > 0.3"
for_s = 0.5
outputs = ["ttl", "mine"]
[closed_loop.groups]
left = [1, 2]
[closed_loop.targets]
grating = "clips/grating.mp4"
[closed_loop.serial.ttl]
port = "COM3"
signal = "rts"
[closed_loop.python.mine]
function = "reaction.py:flash"
[closed_loop.python.theirs]
function = "package.module:function"
"""


def test_the_tables_are_read_and_paths_are_relative_to_the_file(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(TOML, encoding="utf-8")
    closed_loop = config.load(path).closed_loop
    assert closed_loop.targets == {"grating": tmp_path / "clips" / "grating.mp4"}
    assert closed_loop.python["mine"].function == f"{tmp_path / 'reaction.py'}:flash"
    assert closed_loop.python["theirs"].function == "package.module:function"
    assert closed_loop.serial["ttl"].signal == "rts"
    assert closed_loop.groups == {"left": [1, 2]}


# settings file -> words of the error
SERIAL = "[closed_loop.serial.ttl]\nport = 'COM3'\n"
RULE = "[[closed_loop.rules]]\nname = 'x'\n"
WRONG = {
    RULE: r"'closed_loop.rules.0.when' = .*Field required",
    f"{RULE}when = 'y'\nfor = 1": "unknown key 'closed_loop.rules.0.for'; known here: "
    "dry_run, for_s, name",
    f"{SERIAL}byte = 300": "'closed_loop.serial.ttl.byte' = 300",
    f"{SERIAL}bit = 3": "unknown key 'closed_loop.serial.ttl.bit'; known here: "
    "baud, byte",
    "[closed_loop]\nrule = 3": "unknown key 'closed_loop.rule'; known here: dry_run, "
    "groups",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_inside_a_table_is_reported_with_its_key(tmp_path, text):
    path = tmp_path / "rig.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=WRONG[text]) as caught:
        config.load(path)
    assert "\n" not in str(caught.value)
