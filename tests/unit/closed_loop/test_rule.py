"""When rules fire: one value per second, and what happens then."""

from __future__ import annotations

import math

import pytest

from rtrecon.closed_loop.rule import Rule, RuleChange
from rtrecon.config import RuleSettings
from rtrecon.core.errors import UserError

WHEN = "quality.activity_correlation < 0.1"
LOW, HIGH, NAN = 0.0, 0.2, math.nan
FIRES, RELEASED = RuleChange.FIRED, RuleChange.RELEASED

# settings, one value per second -> seconds in which something happens
CASES = {
    "fires at once, and again after a release": (
        {},
        [HIGH, LOW, LOW, HIGH, LOW],
        {1: FIRES, 3: RELEASED, 4: FIRES},
    ),
    "fires only after for_s": (
        {"for_s": 2},
        [LOW, LOW, HIGH, LOW, LOW, LOW, LOW, HIGH],
        {5: FIRES, 7: RELEASED},
    ),
    "an unknown value does not meet the condition": (
        {"for_s": 2},
        [LOW, LOW, NAN, LOW, LOW, LOW],
        {5: FIRES},
    ),
    "an unknown value does not release": (
        {},
        [LOW, NAN, LOW, HIGH, LOW],
        {0: FIRES, 3: RELEASED, 4: FIRES},
    ),
    "hysteresis": (
        {"until": 0.3},
        [LOW, HIGH, LOW, 0.31, HIGH, LOW],
        {0: FIRES, 3: RELEASED, 5: FIRES},
    ),
    "fires after refractory_s if the condition still holds": (
        {"refractory_s": 4},
        [LOW, HIGH, LOW, HIGH, LOW, LOW],
        {0: FIRES, 1: RELEASED, 4: FIRES},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_fires_when_it_should(case):
    settings, values, expected = CASES[case]
    rule = Rule(RuleSettings(name="lost", when=WHEN, **settings))
    happened = {t: rule.update(value, float(t)) for t, value in enumerate(values)}
    assert {t: change for t, change in happened.items() if change} == expected


def test_after_a_silence_the_condition_has_to_hold_anew():
    rule = Rule(RuleSettings(name="lost", when=WHEN, for_s=5))
    assert rule.update(LOW, 0.0) is None
    assert rule.update(LOW, 60.0) is None
    times = [62.0, 64.0, 65.0]
    assert [rule.update(LOW, t) for t in times] == [None, None, FIRES]


def test_a_new_session_forgets_the_refractory_time():
    rule = Rule(RuleSettings(name="lost", when=WHEN, refractory_s=1000))
    assert rule.update(LOW, 500.0) is FIRES
    rule.start_session()
    assert rule.update(LOW, 3.0) is FIRES


@pytest.mark.parametrize(("when", "until"), [(WHEN, 0.05), ("field.z_offset > 2", 3.0)])
def test_a_release_level_on_the_wrong_side_is_refused(when, until):
    with pytest.raises(UserError, match="a level on the other side"):
        Rule(RuleSettings(name="x", when=when, until=until))


def test_a_condition_of_a_time_lapse_holds_over_its_frames():
    rule = Rule(RuleSettings(name="lost", when=WHEN, for_s=2400.0))
    rule.rate_hz = 1 / 1200
    changes = [rule.update(LOW, 1200.0 * k) for k in range(4)]
    assert changes == [None, None, FIRES, None]
