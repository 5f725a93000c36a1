"""The field is lost when nearly all frames of a second are rejected."""

from __future__ import annotations

from rtrecon.daemon.rejection_monitor import RejectionMonitor

RATE_HZ = 30.0
REASON = "does not match the template"


def add_seconds(monitor: RejectionMonitor, start_s: float, seconds: float, reason: str):
    """Add frames of one kind; return the sentences and the time of each."""
    found = []
    for i in range(round(seconds * RATE_HZ)):
        now_s = start_s + i / RATE_HZ
        monitor.add_frame(reason, now_s)
        found += [(now_s, notice) for notice in monitor.take_notices()]
    return found


def test_a_lost_field_is_reported_within_three_seconds_and_until_it_is_found():
    monitor = RejectionMonitor(RATE_HZ)
    assert add_seconds(monitor, 0.0, 10.0, "") == []
    [(reported_s, sentence)] = add_seconds(monitor, 10.0, 14.0, REASON)
    assert reported_s < 13.0
    assert f"({REASON}); is this the field of the reference image?" in sentence
    assert "rejected for 14.0 s" in monitor.describe(23.97)
    [(found_s, sentence)] = add_seconds(monitor, 24.0, 10.0, "")
    assert found_s < 26.0
    assert sentence.startswith("frames match again, after 14.")
    assert monitor.describe(34.0) == ""


def test_some_rejected_frames_are_no_lost_field():
    monitor = RejectionMonitor(RATE_HZ)
    for second in range(20):
        assert add_seconds(monitor, float(second), 0.8, REASON) == []
        assert add_seconds(monitor, second + 0.8, 0.2, "") == []
    assert monitor.describe(20.0) == ""


def test_a_field_that_was_never_there_is_reported():
    monitor = RejectionMonitor(RATE_HZ)
    assert len(add_seconds(monitor, 0.0, 4.0, REASON)) == 1


def test_four_bad_frames_of_a_time_lapse_are_a_lost_field():
    monitor = RejectionMonitor(1 / 1200)
    for i in range(3):
        monitor.add_frame("", 1200.0 * i)
    found = []
    for i in range(3, 8):
        monitor.add_frame(REASON, 1200.0 * i)
        found += [(i, notice) for notice in monitor.take_notices()]
    [(frame, sentence)] = found
    assert frame == 6
    assert "rejected for 1 h 20 min" in sentence
