from __future__ import annotations

import numpy as np
import pytest

from rtrecon.imaging.timing.aligner import MAX_HOLE_TICKS, Aligner, to_encoder_frame
from rtrecon.protocol.behavior import UNKNOWN
from tests.support.paths import TEST_DATA

RATE_HZ = 30.0
T0_S = 71.3689  # a microscope's clock seldom starts at zero
N = 3

DATA = TEST_DATA / "twophoton"
TRACES = DATA / "real_shifts_and_traces.npz"


def line(t_s):
    """A world with a known answer: neuron i rises by i + 1 per second."""
    return (t_s - T0_S) * np.arange(1, N + 1, dtype=np.float64)


def resample(times_s, microscope_hz, values=line):
    """Run samples through an aligner; return every tick, in order."""
    aligner = Aligner(RATE_HZ)
    aligner.start(times_s[0], microscope_hz)
    ticks = []
    for frame, t_s in enumerate(times_s):
        ticks += aligner.activity(t_s, frame, values(t_s))
    return ticks


def times(microscope_hz, seconds):
    return T0_S + np.arange(round(seconds * microscope_hz)) / microscope_hz


@pytest.mark.parametrize("microscope_hz", [3.5, 7.0, 19.41, 25.0, 45.7, 60.0, 120.0])
def test_any_rate_becomes_the_encoders_without_bending_a_line(microscope_hz):
    ticks = resample(times(microscope_hz, 4.0), microscope_hz)
    assert [tick.index for tick in ticks] == list(range(len(ticks)))
    assert len(ticks) == pytest.approx(4.0 * RATE_HZ, abs=1 + RATE_HZ / microscope_hz)
    expected = [line(T0_S + tick.index / RATE_HZ) for tick in ticks]
    np.testing.assert_allclose([tick.values for tick in ticks], expected, atol=1e-4)
    assert ticks[0].values.dtype == np.float32


@pytest.mark.parametrize("microscope_hz", [30.0, 30.02, 29.95, 29.5])
def test_at_the_encoders_rate_every_tick_is_one_samples_own_values(microscope_hz):
    # Values that no average of two of them could be.
    sampled = times(microscope_hz, 60.0)
    marks = {t_s: float(2**i % 8191) for i, t_s in enumerate(sampled)}
    ticks = resample(sampled, microscope_hz, lambda t_s: np.full(N, marks[t_s]))
    assert [tick.index for tick in ticks] == list(range(len(ticks)))
    for tick in ticks:
        t_s = T0_S + tick.index / RATE_HZ
        nearest = sampled[np.argmin(np.abs(sampled - t_s))]
        assert abs(nearest - t_s) <= 0.5001 / microscope_hz
        assert tick.values[0] == marks[nearest]


def test_at_equal_rates_each_frame_makes_its_tick_at_once_for_an_hour():
    rng = np.random.default_rng(0)
    sampled = times(RATE_HZ, 3600.0)
    jittered = sampled + rng.normal(0, 1e-3, len(sampled))
    jittered[0] = T0_S
    aligner = Aligner(RATE_HZ)
    aligner.start(T0_S, RATE_HZ)
    for frame, t_s in enumerate(jittered):
        (tick,) = aligner.activity(t_s, frame, np.array([frame]))
        assert (tick.index, tick.frame, tick.values[0]) == (frame, frame, frame)


@pytest.mark.parametrize("n_lost", [1, 2, 7])
def test_a_hole_at_equal_rates_is_as_many_nan_ticks_as_frames_were_lost(n_lost):
    sampled = np.delete(times(RATE_HZ, 2.0), range(20, 20 + n_lost))
    ticks = resample(sampled, RATE_HZ)
    lost = [tick.index for tick in ticks if np.isnan(tick.values).all()]
    assert lost == list(range(20, 20 + n_lost))
    assert [tick.index for tick in ticks] == list(range(60))
    assert not any(
        np.isnan(tick.values).any() for tick in ticks if tick.index not in lost
    )


def test_a_hole_of_a_slow_microscope_is_nan_beyond_half_a_period():
    sampled = np.delete(times(10.0, 2.0), 5)  # nothing between 0.4 and 0.6 s
    ticks = resample(sampled, 10.0)
    lost = [tick.index for tick in ticks if np.isnan(tick.values).any()]
    assert lost == [14, 15, 16]  # 0.45 < t < 0.55 s


def test_jitter_is_no_hole():
    sampled = times(10.0, 2.0)
    sampled[7] += 0.04  # 1.4 periods after the one before
    ticks = resample(sampled, 10.0)
    assert not any(np.isnan(tick.values).any() for tick in ticks)


def test_a_long_hole_is_told_in_bounded_memory():
    sampled = [T0_S, T0_S + 1 / RATE_HZ, T0_S + 1800.0]
    ticks = resample(sampled, RATE_HZ)
    assert len(ticks) == 2 + MAX_HOLE_TICKS
    assert ticks[-1].index == 1800 * 30
    assert ticks[2].index == ticks[-1].index - MAX_HOLE_TICKS + 1
    assert not np.isnan(ticks[-1].values).any()


def test_a_sample_from_the_past_completes_nothing():
    aligner = Aligner(RATE_HZ)
    aligner.start(T0_S, RATE_HZ)
    assert len(aligner.activity(T0_S, 0, np.zeros(N))) == 1
    assert aligner.activity(T0_S, 1, np.ones(N)) == []
    assert aligner.activity(T0_S - 5.0, 2, np.ones(N)) == []
    (tick,) = aligner.activity(T0_S + 1 / RATE_HZ, 3, np.full(N, 3.0))
    assert (tick.index, tick.values[0]) == (1, 3.0)


def test_lost_values_stay_lost():
    aligner = Aligner(RATE_HZ)
    aligner.start(T0_S, 10.0)
    aligner.activity(T0_S, 0, np.array([1.0, np.nan]))
    ticks = aligner.activity(T0_S + 0.1, 1, np.array([2.0, 2.0]))
    assert np.isnan([tick.values[1] for tick in ticks[:2]]).all()
    assert np.isfinite([tick.values[0] for tick in ticks]).all()


@pytest.mark.parametrize(
    ("t_s", "index"), [(0.0, 0), (0.0166, 0), (0.0168, 1), (10.0, 300), (-0.5, -15)]
)
def test_a_stimulus_time_has_an_index(t_s, index):
    aligner = Aligner(RATE_HZ)
    aligner.start(T0_S, 7.0)
    assert aligner.index_of(T0_S + t_s) == index


def test_before_a_session_no_time_has_an_index():
    with pytest.raises(ValueError, match="no session has started"):
        Aligner(RATE_HZ).index_of(1.0)


def test_the_newest_behavior_is_held_each_value_on_its_own():
    aligner = Aligner(RATE_HZ)
    assert aligner.behavior_at() == UNKNOWN
    aligner.behavior(1.0, (0.4, None, 3.0, None))
    aligner.behavior(2.0, (None, 12.0, None, None))
    assert aligner.behavior_at() == (0.4, 12.0, 3.0, None)
    aligner.behavior(3.0, (None, None, 5.0, -2.0))
    assert aligner.behavior_at() == (0.4, 12.0, 5.0, -2.0)
    aligner.behavior(1.5, (0.9, 0.9, 0.9, 0.9))  # late: older than what is held
    assert aligner.behavior_at() == (0.4, 12.0, 5.0, -2.0)


def test_a_new_session_forgets_the_old_one():
    aligner = Aligner(RATE_HZ)
    aligner.start(T0_S, RATE_HZ)
    aligner.activity(T0_S, 7, np.ones(N))
    aligner.behavior(T0_S, (1.0, 1.0, 1.0, 1.0))
    aligner.start(3.0, RATE_HZ)  # its clock started again
    assert aligner.behavior_at() == UNKNOWN
    (tick,) = aligner.activity(3.0, 1, np.zeros(2))  # and has other neurons
    assert (tick.index, tick.frame, tick.values.shape) == (0, 1, (2,))


@pytest.mark.skipif(not TRACES.exists(), reason=f"{TRACES.name} is not here")
def test_real_traces_pass_as_interpolation_would_have_them():
    with np.load(TRACES) as file:
        traces = file["traces"][:, :400].astype(np.float32)  # (70, 400)
    sampled = T0_S + np.arange(400) / 19.41
    ticks = resample(sampled, 19.41, lambda t: traces[:, np.searchsorted(sampled, t)])
    at = T0_S + np.arange(len(ticks)) / RATE_HZ
    expected = [np.interp(at, sampled, trace) for trace in traces]
    found = np.transpose([tick.values for tick in ticks])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(traces))


SHAPES = [(36, 64), (72, 128), (360, 640), (1080, 1920), (37, 61), (18, 20), (1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stimulus_of_any_shape_keeps_its_light(shape):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    small = to_encoder_frame(image)
    assert (small.shape, small.dtype) == ((36, 64), np.uint8)
    assert small.mean() == pytest.approx(image.mean(), abs=0.1)
    assert np.all(to_encoder_frame(np.full(shape, 255, np.uint8)) == 255)


def test_a_multiple_is_averaged_block_by_block():
    image = np.random.default_rng(2).integers(0, 256, (360, 640), dtype=np.uint8)
    blocks = image.reshape(36, 10, 64, 10).mean(axis=(1, 3))
    assert np.abs(to_encoder_frame(image) - blocks).max() <= 0.5 + 1e-3


def test_a_side_between_two_pixels_is_shared():
    image = np.array([[0, 90, 180]], np.uint8)
    assert to_encoder_frame(image, (1, 2)).tolist() == [[30, 150]]
