from __future__ import annotations

import numpy as np
import pytest

from rtrecon.imaging.timing.aligner import MAX_GAP_SAMPLES, Aligner
from rtrecon.imaging.timing.stimulus_resize import resize_stimulus
from rtrecon.protocol.behavior import NO_BEHAVIOR
from tests.support.paths import TEST_DATA

RATE_HZ = 30.0
T0_S = 71.3689  # a microscope's clock seldom starts at zero
N = 3

DATA = TEST_DATA / "twophoton"
TRACES = DATA / "real_shifts_and_traces.npz"


def line(t_s):
    """Known activity: neuron i rises by i + 1 per second."""
    return (t_s - T0_S) * np.arange(1, N + 1, dtype=np.float64)


def resample(times_s, microscope_hz, values=line):
    """Resample microscope frames; return all encoder samples, in order."""
    aligner = Aligner(RATE_HZ)
    aligner.start_session(times_s[0], microscope_hz)
    samples = []
    for frame, t_s in enumerate(times_s):
        samples += aligner.add_activity(t_s, frame, values(t_s))
    return samples


def times(microscope_hz, seconds):
    return T0_S + np.arange(round(seconds * microscope_hz)) / microscope_hz


@pytest.mark.parametrize("microscope_hz", [3.5, 7.0, 19.41, 25.0, 45.7, 60.0, 120.0])
def test_activity_at_any_rate_is_interpolated_to_the_encoders_rate(microscope_hz):
    samples = resample(times(microscope_hz, 4.0), microscope_hz)
    assert [sample.index for sample in samples] == list(range(len(samples)))
    assert len(samples) == pytest.approx(4.0 * RATE_HZ, abs=1 + RATE_HZ / microscope_hz)
    expected = [line(T0_S + sample.index / RATE_HZ) for sample in samples]
    np.testing.assert_allclose(
        [sample.values for sample in samples], expected, atol=1e-4
    )
    assert samples[0].values.dtype == np.float32


@pytest.mark.parametrize("microscope_hz", [30.0, 30.02, 29.95, 29.5])
def test_at_the_encoders_rate_each_sample_keeps_the_values_of_one_frame(microscope_hz):
    # Values that no average of two of them could be.
    sampled = times(microscope_hz, 60.0)
    marks = {t_s: float(2**i % 8191) for i, t_s in enumerate(sampled)}
    samples = resample(sampled, microscope_hz, lambda t_s: np.full(N, marks[t_s]))
    assert [sample.index for sample in samples] == list(range(len(samples)))
    for sample in samples:
        t_s = T0_S + sample.index / RATE_HZ
        nearest = sampled[np.argmin(np.abs(sampled - t_s))]
        assert abs(nearest - t_s) <= 0.5001 / microscope_hz
        assert sample.values[0] == marks[nearest]


def test_at_equal_rates_each_frame_gives_one_sample_for_an_hour():
    rng = np.random.default_rng(0)
    sampled = times(RATE_HZ, 3600.0)
    jittered = sampled + rng.normal(0, 1e-3, len(sampled))
    jittered[0] = T0_S
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, RATE_HZ)
    for frame, t_s in enumerate(jittered):
        (sample,) = aligner.add_activity(t_s, frame, np.array([frame]))
        assert (sample.index, sample.frame, sample.values[0]) == (frame, frame, frame)


@pytest.mark.parametrize("n_lost", [1, 2, 7])
def test_a_gap_at_equal_rates_gives_one_nan_sample_per_lost_frame(n_lost):
    sampled = np.delete(times(RATE_HZ, 2.0), range(20, 20 + n_lost))
    samples = resample(sampled, RATE_HZ)
    lost = [sample.index for sample in samples if np.isnan(sample.values).all()]
    assert lost == list(range(20, 20 + n_lost))
    assert [sample.index for sample in samples] == list(range(60))
    assert not any(
        np.isnan(sample.values).any() for sample in samples if sample.index not in lost
    )


def test_a_gap_of_a_slow_microscope_is_nan_beyond_half_a_period():
    sampled = np.delete(times(10.0, 2.0), 5)  # nothing between 0.4 and 0.6 s
    samples = resample(sampled, 10.0)
    lost = [sample.index for sample in samples if np.isnan(sample.values).any()]
    assert lost == [14, 15, 16]  # 0.45 < t < 0.55 s


def test_jitter_does_not_count_as_a_gap():
    sampled = times(10.0, 2.0)
    sampled[7] += 0.04  # 1.4 periods after the one before
    samples = resample(sampled, 10.0)
    assert not any(np.isnan(sample.values).any() for sample in samples)


def test_a_long_gap_gives_a_bounded_number_of_samples():
    sampled = [T0_S, T0_S + 1 / RATE_HZ, T0_S + 1800.0]
    samples = resample(sampled, RATE_HZ)
    assert len(samples) == 2 + MAX_GAP_SAMPLES
    assert samples[-1].index == 1800 * 30
    assert samples[2].index == samples[-1].index - MAX_GAP_SAMPLES + 1
    assert not np.isnan(samples[-1].values).any()


def test_a_frame_older_than_the_last_completes_nothing():
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, RATE_HZ)
    assert len(aligner.add_activity(T0_S, 0, np.zeros(N))) == 1
    assert aligner.add_activity(T0_S, 1, np.ones(N)) == []
    assert aligner.add_activity(T0_S - 5.0, 2, np.ones(N)) == []
    (sample,) = aligner.add_activity(T0_S + 1 / RATE_HZ, 3, np.full(N, 3.0))
    assert (sample.index, sample.values[0]) == (1, 3.0)


def test_missing_values_stay_missing():
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, 10.0)
    aligner.add_activity(T0_S, 0, np.array([1.0, np.nan]))
    samples = aligner.add_activity(T0_S + 0.1, 1, np.array([2.0, 2.0]))
    assert np.isnan([sample.values[1] for sample in samples[:2]]).all()
    assert np.isfinite([sample.values[0] for sample in samples]).all()


@pytest.mark.parametrize(
    ("t_s", "index"), [(0.0, 0), (0.0166, 0), (0.0168, 1), (10.0, 300), (-0.5, -15)]
)
def test_a_stimulus_time_has_an_encoder_index(t_s, index):
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, 7.0)
    assert aligner.encoder_index(T0_S + t_s) == index


def test_before_a_session_no_time_has_an_encoder_index():
    with pytest.raises(ValueError, match="no session has started"):
        Aligner(RATE_HZ).encoder_index(1.0)


def test_the_newest_value_of_each_behavior_is_held():
    aligner = Aligner(RATE_HZ)
    assert aligner.latest_behavior() == NO_BEHAVIOR
    aligner.add_behavior(1.0, (0.4, None, 3.0, None))
    aligner.add_behavior(2.0, (None, 12.0, None, None))
    assert aligner.latest_behavior() == (0.4, 12.0, 3.0, None)
    aligner.add_behavior(3.0, (None, None, 5.0, -2.0))
    assert aligner.latest_behavior() == (0.4, 12.0, 5.0, -2.0)
    aligner.add_behavior(1.5, (0.9, 0.9, 0.9, 0.9))  # late: older than what is held
    assert aligner.latest_behavior() == (0.4, 12.0, 5.0, -2.0)


def test_a_new_session_forgets_the_old_one():
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, RATE_HZ)
    aligner.add_activity(T0_S, 7, np.ones(N))
    aligner.add_behavior(T0_S, (1.0, 1.0, 1.0, 1.0))
    aligner.start_session(3.0, RATE_HZ)  # its clock started again
    assert aligner.latest_behavior() == NO_BEHAVIOR
    (sample,) = aligner.add_activity(3.0, 1, np.zeros(2))  # and has other neurons
    assert (sample.index, sample.frame, sample.values.shape) == (0, 1, (2,))


@pytest.mark.skipif(not TRACES.exists(), reason=f"{TRACES.name} is not here")
def test_real_traces_are_interpolated_linearly():
    with np.load(TRACES) as file:
        traces = file["traces"][:, :400].astype(np.float32)  # (70, 400)
    sampled = T0_S + np.arange(400) / 19.41
    samples = resample(sampled, 19.41, lambda t: traces[:, np.searchsorted(sampled, t)])
    at = T0_S + np.arange(len(samples)) / RATE_HZ
    expected = [np.interp(at, sampled, trace) for trace in traces]
    found = np.transpose([sample.values for sample in samples])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(traces))


SHAPES = [(36, 64), (72, 128), (360, 640), (1080, 1920), (37, 61), (18, 20), (1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_resizing_a_stimulus_keeps_its_mean_brightness(shape):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    small = resize_stimulus(image)
    assert (small.shape, small.dtype) == ((36, 64), np.uint8)
    assert small.mean() == pytest.approx(image.mean(), abs=0.1)
    assert np.all(resize_stimulus(np.full(shape, 255, np.uint8)) == 255)


def test_a_multiple_of_the_size_is_averaged_in_blocks():
    image = np.random.default_rng(2).integers(0, 256, (360, 640), dtype=np.uint8)
    blocks = image.reshape(36, 10, 64, 10).mean(axis=(1, 3))
    assert np.abs(resize_stimulus(image) - blocks).max() <= 0.5 + 1e-3


def test_an_input_pixel_on_a_border_is_split_between_two_output_pixels():
    image = np.array([[0, 90, 180]], np.uint8)
    assert resize_stimulus(image, (1, 2)).tolist() == [[30, 150]]
