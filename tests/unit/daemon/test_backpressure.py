"""When frames wait, so that a run can be repeated."""

from __future__ import annotations

import pytest

from rtrecon.config import InversionSettings
from rtrecon.daemon.backpressure import Backpressure

WINDOW, HOP = 12, 6

# encoder frames sent (first, newest), newest with a movie -> whether frames wait
CASES = {
    "nothing is sent": (None, None, False),
    "less than a window before the first movie": ((0, 10), None, False),
    "a window before the first movie": ((0, 11), None, True),
    "the session was resumed": ((1000, 1010), None, False),
    "the inverter keeps up": ((0, 40), 35, False),
    "a window ahead of the inverter": ((0, 47), 35, True),
}


def make_backpressure(has_inverter: bool = True, **changes: object) -> Backpressure:
    keys = {"deterministic": True, "window_frames": WINDOW, "hop_frames": HOP}
    return Backpressure(InversionSettings(**(keys | changes)), has_inverter)


@pytest.mark.parametrize("case", CASES)
def test_frames_wait_when_the_inverter_is_a_window_behind(case):
    sent_range, movie_frame, should_wait = CASES[case]
    backpressure = make_backpressure()
    if movie_frame is not None:
        backpressure.movie_received(movie_frame)
    assert backpressure.should_wait(False, sent_range) is should_wait


def test_frames_wait_while_a_reference_is_built():
    assert make_backpressure().should_wait(True, None)
    assert make_backpressure(has_inverter=False).should_wait(True, None)


def test_frames_never_wait_in_a_normal_run_or_without_an_inverter():
    assert not make_backpressure(deterministic=False).should_wait(True, (0, 1000))
    assert not make_backpressure(has_inverter=False).should_wait(False, (0, 1000))


def test_frames_do_not_wait_for_a_removed_inverter():
    backpressure = make_backpressure()
    assert backpressure.should_wait(False, (0, 1000))
    backpressure.remove_inverter()
    assert not backpressure.should_wait(False, (0, 1000))


def test_a_new_session_forgets_the_movie_of_the_last_one():
    backpressure = make_backpressure()
    backpressure.movie_received(500)
    backpressure.begin_session()
    assert backpressure.should_wait(False, (0, WINDOW))
