"""When rules fire, told as small stories; the clock is ours."""

from __future__ import annotations

import math

import pytest

from rtrecon.closed_loop.rule import Change, Rule
from rtrecon.config import RuleSettings
from rtrecon.core.errors import UserError

WHEN = "quality.activity_correlation < 0.1"
LOW, HIGH, NAN = 0.0, 0.2, math.nan
FIRES, ENDS = Change.FIRED, Change.RELEASED

# settings; then one value a second -> the seconds in which something happens
STORIES = {
    "at once, once, and again after it was back": (
        {},
        [HIGH, LOW, LOW, HIGH, LOW],
        {1: FIRES, 3: ENDS, 4: FIRES},
    ),
    "only what holds for long": (
        {"for_s": 2},
        [LOW, LOW, HIGH, LOW, LOW, LOW, LOW, HIGH],
        {5: FIRES, 7: ENDS},
    ),
    "what is not known does not hold": (
        {"for_s": 2},
        [LOW, LOW, NAN, LOW, LOW, LOW],
        {5: FIRES},
    ),
    "what is not known is not back either": (
        {},
        [LOW, NAN, LOW, HIGH, LOW],
        {0: FIRES, 3: ENDS, 4: FIRES},
    ),
    "hysteresis": (
        {"until": 0.3},
        [LOW, HIGH, LOW, 0.31, HIGH, LOW],
        {0: FIRES, 3: ENDS, 5: FIRES},
    ),
    "refractory: later, if it still holds": (
        {"refractory_s": 4},
        [LOW, HIGH, LOW, HIGH, LOW, LOW],
        {0: FIRES, 1: ENDS, 4: FIRES},
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_rule_fires_when_it_should(story):
    settings, values, expected = STORIES[story]
    rule = Rule(RuleSettings(name="lost", when=WHEN, **settings))
    happened = {t: rule.judge(value, float(t)) for t, value in enumerate(values)}
    assert {t: change for t, change in happened.items() if change} == expected


def test_silence_is_not_holding():
    rule = Rule(RuleSettings(name="lost", when=WHEN, for_s=5))
    assert rule.judge(LOW, 0.0) is None
    assert rule.judge(LOW, 60.0) is None
    times = [62.0, 64.0, 65.0]
    assert [rule.judge(LOW, t) for t in times] == [None, None, FIRES]


def test_a_session_begins_with_nothing_remembered():
    rule = Rule(RuleSettings(name="lost", when=WHEN, refractory_s=1000))
    assert rule.judge(LOW, 500.0) is FIRES
    rule.begin()
    assert rule.judge(LOW, 3.0) is FIRES


@pytest.mark.parametrize(("when", "until"), [(WHEN, 0.05), ("field.z > 2", 3.0)])
def test_a_release_on_the_wrong_side_is_refused(when, until):
    with pytest.raises(UserError, match="put it on the other side"):
        Rule(RuleSettings(name="x", when=when, until=until))
