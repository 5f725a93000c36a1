"""What a report says of the screen."""

from __future__ import annotations

from rtrecon.analysis.report.screen_text import describe_screen


def test_delay_and_lost_pictures_are_described():
    summary = {
        "monitor_lag_ms": {"p50": 41.2, "p95": 43.0, "p99": 57.8, "max": 60.0},
        "pictures": {"judged": 1000, "without edge": 4},
    }
    sentence = describe_screen(summary)
    assert "41 ms after their times as sent (99 % within 58 ms)" in sentence
    assert "4 of 1000 did not appear in time" in sentence


def test_without_a_photodiode_there_is_no_sentence():
    assert describe_screen({"monitor_lag_ms": None, "pictures": None}) == ""
