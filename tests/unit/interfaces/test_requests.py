"""Requests of rules to the microscope: schedule, light budget, refusals, focus."""

import numpy as np
import pytest

from rtrecon.interfaces.focus_search import N_FOCUS_IMAGES, find_sharpest
from rtrecon.interfaces.moment_schedule import MomentSchedule, TimeLapsePlan
from rtrecon.interfaces.request_review import RequestReview
from rtrecon.interfaces.stage_positions import StagePosition
from rtrecon.protocol.messages import AcquisitionRequest

PLAN = TimeLapsePlan(
    600.0,
    (StagePosition("A", 0.0, 0.0), StagePosition("B", 1.0, 1.0)),
    ("GFP",),
    n_moments=3,
    on_request=("Cy5",),
)
EXPOSURE_S = 0.1


def make_request(**changes) -> AcquisitionRequest:
    fields = {"output": "more", "light_budget_s": 5.0, "refractory_s": 3600.0}
    return AcquisitionRequest(**{**fields, **changes})


class Scope:
    """A schedule and a review, with the sentences of the review."""

    def __init__(self, can_focus: bool = True) -> None:
        self.schedule = MomentSchedule(PLAN)
        self.review = RequestReview(PLAN, can_focus)

    def ask(self, t_s: float = 0.0, **changes) -> str:
        request = make_request(**changes)
        return self.review.decide(request, self.schedule, (t_s, EXPOSURE_S))

    def list_moments(self):
        moments = []
        while moment := self.schedule.find_next():
            self.schedule.finish(moment)
            moments.append(moment)
        return moments


def test_without_requests_the_plan_is_imaged():
    moments = Scope().list_moments()
    assert [m.due_s for m in moments] == [0.0, 600.0, 1200.0]
    assert {(m.planes, m.channels) for m in moments} == {((0, 1), (0,))}


def test_a_series_is_imaged_between_the_moments_of_the_plan():
    scope = Scope()
    sentence = scope.ask(
        700.0, interval_s=100.0, duration_s=300.0, position="B", channel="Cy5"
    )
    assert "adds 0.6 s of light, 4.4 s of its budget" in sentence
    moments = scope.list_moments()
    assert [m.due_s for m in moments] == [0.0, 600.0, 700.0, 800.0, 900.0, 1200.0]
    extra = [m for m in moments if not m.is_planned]
    assert {(m.planes, m.channels) for m in extra} == {((1,), (0, 1))}


def test_refocusing_counts_the_images_of_the_search():
    scope = Scope()
    sentence = scope.ask(10.0, refocus=True)
    assert f"adds {N_FOCUS_IMAGES * EXPOSURE_S:.3g} s of light" in sentence
    [moment] = [m for m in scope.list_moments() if not m.is_planned]
    assert (moment.refocus, moment.channels) == (True, ())


def test_light_is_counted_at_each_position_until_the_budget_is_spent():
    scope = Scope()
    series = {"interval_s": 10.0, "duration_s": 300.0, "refractory_s": 1.0}
    assert "carried out" in scope.ask(0.0, position="A", **series)  # 3 s of light
    scope.list_moments()
    refused = scope.ask(1e4, position="A", **series)
    assert "needs 3 s of light, and 2 s of the budget of 5 s are left" in refused
    assert "carried out" in scope.ask(1e4, position="B", **series)
    assert (scope.review.n_accepted, scope.review.n_refused) == (2, 1)


REFUSED = {
    "position": ({"position": "C"}, "no position 'C'; positions: A, B"),
    "channel": ({"channel": "DAPI"}, "'DAPI' is neither in --channels nor"),
    "budget": ({"light_budget_s": 0.05}, "needs 0.1 s of light, and 0.05 s"),
    "no budget": ({"light_budget_s": 0.0}, "no refractory time or no light budget"),
    "no rest": ({"refractory_s": 0.0}, "no refractory time or no light budget"),
    "focus": ({"refocus": True}, "has no focus device"),
    "too many": (
        {"interval_s": 0.001, "duration_s": 100.0},
        "100000 moments; 10000 are possible",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_cannot_be_carried_out_is_refused_and_counted(case):
    changes, words = REFUSED[case]
    scope = Scope(can_focus=False)
    sentence = scope.ask(**changes)
    assert words in sentence
    assert "request 'more' is refused (1 so far)" in sentence
    assert scope.review.n_refused == 1
    assert all(moment.is_planned for moment in scope.list_moments())


def test_requests_within_the_refractory_time_are_refused():
    scope = Scope()
    scope.ask(0.0)
    assert "the last one was 10 min ago, less than its" in scope.ask(600.0)
    assert "carried out" in scope.ask(600.0, output="other")
    scope.list_moments()
    assert "carried out" in scope.ask(3600.0)


def test_the_sharpest_plane_is_found_between_two_images():
    stripes = np.tile([0.0, 0.0, 100.0, 100.0], (16, 4)) + 50
    taken = []

    def take_image(height_um: float) -> np.ndarray:
        taken.append(height_um)
        contrast = np.exp(-(((height_um - 13.3) / 4) ** 2))
        return 100 + (stripes - 100) * contrast

    assert find_sharpest(take_image, 10.0) == pytest.approx(13.3, abs=0.3)
    assert len(taken) == N_FOCUS_IMAGES


def test_without_any_structure_the_focus_stays():
    assert find_sharpest(lambda _: np.full((8, 8), 20), 3.0) == 3.0
