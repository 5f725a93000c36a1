"""Limits that count frame intervals where frames are rare."""

from __future__ import annotations

import pytest

from rtrecon.core.frame_intervals import (
    describe_rate,
    extend_timeout,
    format_interval,
    is_time_lapse,
)


@pytest.mark.parametrize(
    ("rate_hz", "text"),
    [
        (30.0, "30 Hz"),
        (0.5, "0.5 Hz"),
        (0.1, "one frame in 10.0 s"),
        (1 / 90, "one frame in 1 min 30 s"),
        (1 / 1200, "one frame in 20 min"),
        (1 / 86400, "one frame in 24 h"),
    ],
)
def test_a_rate_is_described_as_people_say_it(rate_hz, text):
    assert describe_rate(rate_hz) == text
    assert is_time_lapse(rate_hz) == ("frame" in text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.5, "1.5 s"), (125, "2 min 5 s"), (1000, "17 min"), (5000, "1 h 23 min")],
)
def test_a_time_is_given_in_units_that_people_can_read(seconds, text):
    assert format_interval(seconds) == text


def test_a_timeout_is_seconds_at_30_hz_and_intervals_in_a_time_lapse():
    assert extend_timeout(10.0, 30.0, 6.0) == 10.0
    assert extend_timeout(10.0, 1 / 1200, 6.0) == pytest.approx(7200.0)
    assert extend_timeout(10.0, float("inf"), 6.0) == 10.0
