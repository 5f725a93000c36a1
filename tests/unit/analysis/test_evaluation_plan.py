"""The plan of an evaluation: it fits the time budget, and says what it leaves out."""

from __future__ import annotations

from dataclasses import replace

from rtrecon.analysis.evaluation.plan import EvaluationPlan, Workload
from rtrecon.inversion.offline.live_and_map import STEPS_PER_HOP

# 12 clips of 10 s on two cores; everything takes about ten times the budget.
RECORDED = Workload(
    n_clips=12,
    clip_frames=300,
    hop_frames=5,
    n_encoders=1,
    with_controls=True,
    is_simulated=False,
    pass_s=0.07,
)
SIMULATED = replace(RECORDED, is_simulated=True, frame_s=0.01)


def test_the_plan_on_a_fast_computer_evaluates_everything():
    workload = replace(RECORDED, pass_s=1e-4)
    assert workload.choose_plan() == workload.make_full_plan() == EvaluationPlan(12, 0)
    assert "--thorough" not in workload.describe(workload.choose_plan())


def test_the_plan_is_the_largest_that_ends_within_the_budget():
    workload = replace(RECORDED, pass_s=0.014)
    plan = workload.choose_plan(600)
    assert 2 < plan.n_clips < 12
    assert workload.estimate_s(plan) <= 600
    assert workload.estimate_s(EvaluationPlan(plan.n_clips + 1, 0)) > 600


def test_the_plan_on_a_slow_computer_still_has_two_clips():
    assert RECORDED.choose_plan(1.0) == EvaluationPlan(2, 0)
    assert replace(RECORDED, n_clips=1).choose_plan(1.0) == EvaluationPlan(1, 0)


def test_controls_shrink_with_the_clips():
    assert SIMULATED.make_full_plan() == EvaluationPlan(12, 4)
    assert SIMULATED.choose_plan(1.0) == EvaluationPlan(2, 1)


def test_the_estimate_counts_every_condition():
    plan = EvaluationPlan(12, 0)
    n_hops = 12 * 60
    # The reconstruction, the null, three shares of neurons, and two scrambled controls
    # take all steps; the four shorter searches take 1, 2, 4 and 8.
    assert RECORDED.count_passes(plan) == n_hops * (7 * STEPS_PER_HOP + 15)
    ensemble = replace(RECORDED, n_encoders=2, with_controls=False)
    assert ensemble.count_passes(plan) == n_hops * (6 * STEPS_PER_HOP + 15)


def test_the_estimate_includes_the_imaging_of_simulated_controls():
    plan = EvaluationPlan(2, 1)
    instant = replace(SIMULATED, frame_s=0.0)
    n_frames = 2 * 300 + 9 * 150  # another mouse, and nine unusual stimuli
    imaging_s = SIMULATED.estimate_s(plan) - instant.estimate_s(plan)
    assert round(imaging_s / SIMULATED.frame_s) == n_frames


def test_the_notice_names_the_clips_the_time_and_the_option():
    sentence = SIMULATED.describe(EvaluationPlan(2, 1))
    assert "evaluating 2 of 12 clips and 1 of each control stimulus" in sentence
    assert " min on this computer" in sentence
    assert "--thorough evaluates all in about 1 h" in sentence
