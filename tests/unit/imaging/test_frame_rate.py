"""The measured frame rate, for true and wrong announcements."""

import numpy as np
import pytest

from rtrecon.imaging.timing.frame_rate import FrameRateMeter


def feed(meter, times_s, step=1):
    """Add frames; return after which of them the rate changed."""
    return [k for k, t_s in enumerate(times_s) if meter.add_frame(step * k, t_s)]


@pytest.mark.parametrize(("announced_hz", "true_hz"), [(30, 15), (30, 480), (5, 30)])
def test_the_measured_rate_replaces_a_wrong_one_and_one_sentence_says_so(
    announced_hz, true_hz
):
    meter = FrameRateMeter(announced_hz)
    assert len(feed(meter, 7.0 + np.arange(200) / true_hz)) == 1
    assert meter.rate_hz == pytest.approx(true_hz, rel=1e-3)
    (notice,) = meter.take_notices()
    assert f"announced {announced_hz} frames" in notice
    assert f"give {true_hz};" in notice
    assert meter.take_notices() == []


@pytest.mark.parametrize("true_hz", [1e9, 1e-7])
def test_times_that_no_microscope_has_change_no_rate(true_hz):
    meter = FrameRateMeter(30.0)
    for number in range(40):
        meter.add_frame(number, number / true_hz)
    assert meter.rate_hz == 30.0
    [notice] = meter.take_notices()
    assert "which no microscope has; the announced 30 are used" in notice


@pytest.mark.parametrize("true_hz", [30.0, 30.02, 29.5])
def test_a_confirmed_rate_stays_exactly_as_announced(true_hz):
    meter = FrameRateMeter(30.0)
    assert feed(meter, np.arange(100) / true_hz) == []
    assert (meter.rate_hz, meter.take_notices()) == (30.0, [])


def test_a_small_difference_is_used_without_a_sentence():
    meter = FrameRateMeter(30.0)
    assert len(feed(meter, np.arange(100) / 28.0)) == 1
    assert meter.rate_hz == pytest.approx(28.0, rel=1e-3)
    assert meter.take_notices() == []


def test_times_rounded_to_milliseconds_do_not_bias_the_rate():
    meter = FrameRateMeter(480.0)
    assert feed(meter, np.round(np.arange(100) / 480.0, 3)) == []


def test_jitter_does_not_bias_the_rate():
    rng = np.random.default_rng(0)
    meter = FrameRateMeter(30.0)
    assert feed(meter, np.arange(100) / 30.0 + rng.normal(0, 2e-3, 100)) == []


def test_lost_frames_do_not_bias_the_rate():
    rng = np.random.default_rng(1)
    meter = FrameRateMeter(30.0)
    numbers = np.flatnonzero(rng.random(200) > 0.3)
    assert not any(meter.add_frame(k, k / 30.0) for k in numbers.tolist())


def test_a_counter_of_frames_before_averaging_does_not_bias_the_rate():
    meter = FrameRateMeter(30.0)
    assert len(feed(meter, np.arange(100) / 15.0, step=2)) == 1
    assert meter.rate_hz == pytest.approx(15.0, rel=1e-3)


def test_a_pause_delays_the_measurement_to_the_next_frames():
    meter = FrameRateMeter(30.0)
    times_s = np.arange(100) / 15.0
    times_s[20:] += 60.0
    assert feed(meter, times_s) == [60]
    assert meter.rate_hz == pytest.approx(15.0, rel=1e-3)


def test_times_that_come_in_bursts_leave_the_announced_rate():
    meter = FrameRateMeter(30.0)
    bursts = np.repeat(np.arange(25) * 4 / 30.0, 4) + np.tile(np.arange(4) * 1e-3, 25)
    assert feed(meter, bursts) == []
    assert (meter.rate_hz, meter.take_notices()) == (30.0, [])


@pytest.mark.parametrize(("factor", "is_named"), [(1000, True), (2, False)])
def test_times_in_milliseconds_are_named(factor, is_named):
    meter = FrameRateMeter(30.0)
    feed(meter, np.arange(100) / 30.0 * factor)
    (notice,) = meter.take_notices()
    assert ("seem to be in ms" in notice) == is_named
