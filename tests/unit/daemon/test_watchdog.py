"""Watchdogs report once when a periodic message stops, and once when it resumes."""

from __future__ import annotations

import pytest

from rtrecon.daemon.watchdog import Watchdog, Watchdogs


def test_a_stall_and_its_end_are_each_reported_once():
    dog = Watchdog(1.5)
    assert dog.check_silence(100.0) is None  # nothing is expected yet
    assert dog.mark_received(100.0) is None
    assert dog.check_silence(101.4) is None
    assert dog.check_silence(101.5) == pytest.approx(1.5)
    assert dog.check_silence(103.0) is None
    assert dog.mark_received(104.0) == pytest.approx(4.0)
    assert dog.mark_received(104.1) is None
    dog.pause()
    assert dog.check_silence(1000.0) is None


@pytest.mark.parametrize(("rate_hz", "timeout_s"), [(30.0, 1.5), (0.5, 6.0)])
def test_frames_of_a_slow_microscope_may_be_missing_for_three_periods(
    rate_hz, timeout_s
):
    dogs = Watchdogs(1.5)
    dogs.begin_session(rate_hz)
    dogs.mark_frame(10.0)
    assert not dogs.take_notices(10.0 + timeout_s - 0.01)
    ((name, sentence),) = dogs.take_notices(10.0 + timeout_s)
    assert (name, dogs.frames.is_reported) == ("stalled", True)
    assert sentence.startswith(f"no frame for {timeout_s:.1f} s")
    dogs.mark_frame(20.0)
    resumed = ("resumed", "frames arrive again, after 10.0 s")
    assert dogs.take_notices(20.0) == [resumed]
