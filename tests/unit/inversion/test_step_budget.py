"""The optimisation leaves a hop time for everything else."""

from __future__ import annotations

import pytest

from rtrecon.inversion.live.step_budget import StepBudget

HOP_S, FRACTION, PERIOD = 0.1, 0.8, 3


def run_hops(other_s: list[float]) -> tuple[StepBudget, list[float]]:
    """Run hops whose steps take all their time; return how long each hop takes."""
    budget, took = StepBudget(HOP_S, FRACTION, PERIOD), list[float]()
    for each_s in other_s:
        steps_s = budget.steps_s
        budget.add_steps(steps_s / 2)
        budget.add_steps(steps_s / 2)
        took.append(steps_s + each_s)
        budget.end_hop(took[-1])
    return budget, took


def test_steps_take_their_fraction_where_the_rest_is_short():
    budget, _ = run_hops([0.005] * 7)
    assert budget.steps_s == pytest.approx(FRACTION * HOP_S)


def test_every_hop_ends_in_time_although_some_have_more_to_do():
    other_s = [0.05, 0.005, 0.005] * 5
    _, took = run_hops(other_s)
    assert took[0] > HOP_S  # nothing was known yet
    assert max(took[PERIOD:]) < HOP_S
    shorter = [took_s - each_s for took_s, each_s in zip(took, other_s, strict=True)]
    assert shorter[PERIOD] < shorter[PERIOD + 1] == pytest.approx(FRACTION * HOP_S)


@pytest.mark.parametrize("fraction", [0.1, 0.8])
def test_there_is_always_time_for_some_steps(fraction):
    budget = StepBudget(HOP_S, fraction, 1)
    budget.end_hop(5.0)
    assert budget.steps_s == pytest.approx(min(0.2, fraction) * HOP_S)
