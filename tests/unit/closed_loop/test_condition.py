"""The grammar of rules: what is understood, what is refused and how."""

from __future__ import annotations

import math

import pytest

from rtrecon.closed_loop.condition import Condition, Group, Path, Similarity, parse
from rtrecon.core.errors import UserError

UNDERSTOOD = {
    "quality.activity_correlation < 0.1": Condition(
        Path("quality", ("activity_correlation",)), "<", 0.1
    ),
    "  field.shift_px[0]>=-8e-1 ": Condition(
        Path("field", ("shift_px", "0")), ">=", -0.8
    ),
    "quality.pixel_correlation_by_lag[0.17] <= 1": Condition(
        Path("quality", ("pixel_correlation_by_lag", "0.17")), "<=", 1.0
    ),
    "health.front.latency_ms.frame_to_traces.p99 > 10": Condition(
        Path("health", ("front", "latency_ms", "frame_to_traces", "p99")), ">", 10.0
    ),
    "mean(activity) > 0.5": Condition(Group("mean", None), ">", 0.5),
    "sum( activity[3, 8,21] ) > 2": Condition(Group("sum", (3, 8, 21)), ">", 2.0),
    "mean(left) > 1": Condition(Group("mean", "left"), ">", 1.0),
    "similarity(grating) > 0.3": Condition(Similarity("grating"), ">", 0.3),
}

# a rule -> words of the sentence that it earns
REFUSED = {
    "": "is no condition",
    "quality.activity_correlation": "is no condition",
    "quality.activity_correlation < 0.1 < 0.2": "is no condition",
    "quality.activity_correlation = 0.1": "is no condition",
    "quality.activity_correlation < low": "'low' is no number",
    "quality.activity_correlation < nan": "'nan' is no number",
    "activity < 0.1": "nothing that a rule can look at",
    "quality..lag < 0.1": "nothing that a rule can look at",
    "max(activity) > 1": "nothing that a rule can look at",
    "mean(activity[3, , 8]) > 1": "write neurons' ids like",
    "mean(activity[3 8]) > 1": "write neurons' ids like",
    "mean(activity[]) > 1": "write neurons' ids like",
    "__import__('os').getcwd() > 1": "nothing that a rule can look at",
    "mean(__import__('os')) > 1": "nothing that a rule can look at",
}


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_what_is_written_is_understood(text):
    assert parse(text) == UNDERSTOOD[text]


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_a_sentence(text):
    with pytest.raises(UserError, match=REFUSED[text].replace("(", r"\(")):
        parse(text)


@pytest.mark.parametrize(
    ("sign", "lower", "same", "higher"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_a_value_lies_there_or_not_and_an_unknown_one_never(sign, lower, same, higher):
    condition = parse(f"field.z {sign} 2")
    assert condition.holds(1.0) is lower
    assert condition.holds(2.0) is same
    assert condition.holds(3.0) is higher
    assert condition.holds(math.nan) is False
    assert condition.holds(3.0, level=3.0) is same
