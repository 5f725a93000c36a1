"""Conditions: what is accepted, what is refused, and with which error."""

from __future__ import annotations

import math

import pytest

from rtrecon.closed_loop.condition import (
    ClipSimilarity,
    Condition,
    FieldPath,
    GroupActivity,
    parse_condition,
)
from rtrecon.core.errors import UserError

ACCEPTED = {
    "quality.activity_correlation < 0.1": Condition(
        FieldPath("quality", ("activity_correlation",)), "<", 0.1
    ),
    "  field.shift_px[0]>=-8e-1 ": Condition(
        FieldPath("field", ("shift_px", "0")), ">=", -0.8
    ),
    "quality.pixel_correlation_by_lag[0.17] <= 1": Condition(
        FieldPath("quality", ("pixel_correlation_by_lag", "0.17")), "<=", 1.0
    ),
    "health.daemon.latency_ms.frame_to_traces.p99 > 10": Condition(
        FieldPath("health", ("daemon", "latency_ms", "frame_to_traces", "p99")),
        ">",
        10.0,
    ),
    "mean(activity) > 0.5": Condition(GroupActivity("mean", None), ">", 0.5),
    "sum( activity[3, 8,21] ) > 2": Condition(
        GroupActivity("sum", (3, 8, 21)), ">", 2.0
    ),
    "mean(left) > 1": Condition(GroupActivity("mean", "left"), ">", 1.0),
    "similarity(grating) > 0.3": Condition(ClipSimilarity("grating"), ">", 0.3),
}

# condition -> words of the error
REFUSED = {
    "": "is not a condition",
    "quality.activity_correlation": "is not a condition",
    "quality.activity_correlation < 0.1 < 0.2": "is not a condition",
    "quality.activity_correlation = 0.1": "is not a condition",
    "quality.activity_correlation < low": "'low' is not a number",
    "quality.activity_correlation < nan": "'nan' is not a number",
    "activity < 0.1": "not a value that a rule can read",
    "quality..lag < 0.1": "not a value that a rule can read",
    "max(activity) > 1": "not a value that a rule can read",
    "mean(activity[3, , 8]) > 1": "write the ids of neurons like",
    "mean(activity[3 8]) > 1": "write the ids of neurons like",
    "mean(activity[]) > 1": "write the ids of neurons like",
    "__import__('os').getcwd() > 1": "not a value that a rule can read",
    "mean(__import__('os')) > 1": "not a value that a rule can read",
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_a_condition_is_parsed_into_value_comparison_and_level(text):
    assert parse_condition(text) == ACCEPTED[text]


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused_with_a_sentence(text):
    with pytest.raises(UserError, match=REFUSED[text].replace("(", r"\(")):
        parse_condition(text)


@pytest.mark.parametrize(
    ("comparison", "lower", "same", "higher"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_a_value_meets_the_condition_or_not_and_nan_never_does(
    comparison, lower, same, higher
):
    condition = parse_condition(f"field.z_offset {comparison} 2")
    assert condition.is_met(1.0) is lower
    assert condition.is_met(2.0) is same
    assert condition.is_met(3.0) is higher
    assert condition.is_met(math.nan) is False
    assert condition.is_met(3.0, level=3.0) is same
