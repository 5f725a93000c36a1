from __future__ import annotations

import numpy as np
import pytest

from rtrecon.imaging.timing.aligner import MAX_GAP_SAMPLES, Aligner
from rtrecon.protocol.behavior import NO_BEHAVIOR
from rtrecon.stimulus_space.fit_frame import resize_stimulus
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


def make_events(n_events=40):
    """(n_events,) times in s after the session's start, at no regular phase."""
    return 2.0 + 0.4037 * np.arange(n_events)


def image_events(microscope_hz, seconds=20.0):
    """Return times and activity (T, 1) of frames: an event is in the frame after it."""
    sampled = times(microscope_hz, seconds)
    activity = np.zeros((len(sampled), 1), np.float32)
    frames = np.searchsorted(sampled, T0_S + make_events())
    np.add.at(activity, (frames, 0), 1.0)
    return sampled, activity


ALL_RATES_HZ = [5, 7.5, 12, 19.41, 29.5, 30, 30.5, 45.7, 60, 120, 480, 1000]


@pytest.mark.parametrize("microscope_hz", ALL_RATES_HZ)
def test_events_and_total_activity_are_equal_at_any_microscope_rate(microscope_hz):
    sampled, activity = image_events(microscope_hz)
    values = iter(activity)
    samples = resample(sampled, microscope_hz, lambda _: next(values))
    assert [sample.encoder_frame for sample in samples] == list(range(len(samples)))
    found = np.array([sample.values[0] for sample in samples])
    assert np.isfinite(found).all()
    assert samples[0].values.dtype == np.float32
    assert found.sum() == pytest.approx(len(make_events()), rel=1e-4)
    # Each event lies within a microscope frame and an encoder frame of its time.
    reach = int(np.ceil(RATE_HZ / microscope_hz)) + 1
    middles = np.rint(make_events() * RATE_HZ).astype(int)
    near = [found[max(0, k - reach) : k + reach + 1].sum() for k in middles]
    assert np.sum(np.array(near) > 0.98) == len(make_events())


@pytest.mark.parametrize("microscope_hz", [5, 12, 45.7, 60, 480])
def test_constant_activity_gives_its_amount_per_encoder_frame(microscope_hz):
    samples = resample(
        times(microscope_hz, 4.0), microscope_hz, lambda _: np.full(N, 0.5)
    )
    assert len(samples) > 100
    # Encoder frame 0 has one microscope frame: nothing is known from before.
    found = [sample.values for sample in samples[1:]]
    # float32, summed over up to 480 / 30 parts.
    np.testing.assert_allclose(found, 0.5 * microscope_hz / RATE_HZ, rtol=1e-5)


@pytest.mark.parametrize("microscope_hz", [5, 12, 30, 45.7, 60, 480])
def test_rates_are_averaged_not_summed(microscope_hz):
    aligner = Aligner(RATE_HZ, is_amount=False)
    aligner.start_session(T0_S, microscope_hz)
    samples = []
    for frame, t_s in enumerate(times(microscope_hz, 4.0)):
        samples += aligner.add_activity(t_s, frame, np.full(N, 7.0))
    assert len(samples) > 100
    np.testing.assert_allclose([s.values for s in samples], 7.0, rtol=1e-5)


def test_jittered_frames_of_a_fast_microscope_lose_no_activity():
    rng = np.random.default_rng(3)
    sampled, activity = image_events(120.0)
    sampled = np.sort(sampled + rng.normal(0, 4e-3, len(sampled)))
    values = iter(activity)
    samples = resample(sampled, 120.0, lambda _: next(values))
    found = np.array([sample.values[0] for sample in samples])
    assert np.nansum(found) == pytest.approx(len(make_events()), rel=1e-4)


@pytest.mark.parametrize("n_rejected", [7, 9])
def test_a_sample_is_nan_where_more_than_half_of_it_was_rejected(n_rejected):
    sampled = times(480.0, 2.0)  # 16 frames in each encoder frame
    is_rejected = np.zeros(len(sampled), bool)
    is_rejected[16 * 20 + 1 : 16 * 20 + 1 + n_rejected] = True
    values = iter(np.where(is_rejected, np.nan, 1.0)[:, None])
    samples = resample(sampled, 480.0, lambda _: next(values))
    lost = [sample.encoder_frame for sample in samples if np.isnan(sample.values[0])]
    assert lost == ([21] if n_rejected > 8 else [])


def test_at_exactly_the_encoders_rate_values_stay_bit_identical():
    rng = np.random.default_rng(6)
    sampled = times(RATE_HZ, 20.0)
    activity = rng.exponential(0.1, (len(sampled), N)).astype(np.float32)
    activity[rng.random(activity.shape) < 0.05] = np.nan
    values = iter(activity)
    samples = resample(sampled, RATE_HZ, lambda _: next(values))
    np.testing.assert_array_equal([sample.values for sample in samples], activity)


@pytest.mark.parametrize("microscope_hz", [30.02, 29.95, 29.5])
def test_near_the_encoders_rate_nearly_every_sample_is_one_whole_frame(microscope_hz):
    # Values that no sum of two of them, and no half, could be.
    sampled = times(microscope_hz, 60.0)
    marks = {t_s: float(2 * (2**i % 8191) + 1) for i, t_s in enumerate(sampled)}
    samples = resample(sampled, microscope_hz, lambda t_s: np.full(N, marks[t_s]))
    assert [sample.encoder_frame for sample in samples] == list(range(len(samples)))
    n_mixed = sum(sample.values[0] not in marks.values() for sample in samples)
    n_slips = abs(microscope_hz - RATE_HZ) * 60.0
    assert n_mixed <= 2 * np.ceil(n_slips)


def test_at_equal_rates_each_frame_gives_one_sample_for_twenty_minutes():
    rng = np.random.default_rng(0)
    sampled = times(RATE_HZ, 1200.0)
    jittered = sampled + rng.normal(0, 1e-3, len(sampled))
    jittered[0] = T0_S
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, RATE_HZ)
    for frame, t_s in enumerate(jittered):
        (sample,) = aligner.add_activity(t_s, frame, np.array([frame]))
        assert (sample.encoder_frame, sample.frame, sample.values[0]) == (
            frame,
            frame,
            frame,
        )


@pytest.mark.parametrize("n_lost", [1, 2, 7])
def test_a_gap_at_equal_rates_gives_one_nan_sample_per_lost_frame(n_lost):
    sampled = np.delete(times(RATE_HZ, 2.0), range(20, 20 + n_lost))
    samples = resample(sampled, RATE_HZ)
    lost = [sample.encoder_frame for sample in samples if np.isnan(sample.values).all()]
    assert lost == list(range(20, 20 + n_lost))
    assert [sample.encoder_frame for sample in samples] == list(range(60))
    assert not any(
        np.isnan(sample.values).any()
        for sample in samples
        if sample.encoder_frame not in lost
    )


def test_a_gap_of_a_slow_microscope_is_nan_up_to_the_frame_that_ends_it():
    sampled = np.delete(times(10.0, 2.0), 5)  # nothing between 0.4 and 0.6 s
    samples = resample(sampled, 10.0)
    lost = [sample.encoder_frame for sample in samples if np.isnan(sample.values).any()]
    assert lost == [13, 14, 15]  # 0.4 to 0.5 s; the frame at 0.6 s covers the rest


def test_jitter_does_not_count_as_a_gap():
    sampled = times(10.0, 2.0)
    sampled[7] += 0.04  # 1.4 periods after the one before
    samples = resample(sampled, 10.0)
    assert not any(np.isnan(sample.values).any() for sample in samples)


def test_a_long_gap_gives_a_bounded_number_of_samples():
    sampled = [T0_S, T0_S + 1 / RATE_HZ, T0_S + 1800.0]
    samples = resample(sampled, RATE_HZ)
    assert len(samples) == 2 + MAX_GAP_SAMPLES
    assert samples[-1].encoder_frame == 1800 * 30
    assert samples[2].encoder_frame == samples[-1].encoder_frame - MAX_GAP_SAMPLES + 1
    assert not np.isnan(samples[-1].values).any()


def test_a_frame_older_than_the_last_completes_nothing():
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, RATE_HZ)
    assert len(aligner.add_activity(T0_S, 0, np.zeros(N))) == 1
    assert aligner.add_activity(T0_S, 1, np.ones(N)) == []
    assert aligner.add_activity(T0_S - 5.0, 2, np.ones(N)) == []
    (sample,) = aligner.add_activity(T0_S + 1 / RATE_HZ, 3, np.full(N, 3.0))
    assert (sample.encoder_frame, sample.values[0]) == (1, 3.0)


def test_missing_values_stay_missing():
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, 10.0)
    aligner.add_activity(T0_S, 0, np.array([1.0, np.nan]))
    samples = aligner.add_activity(T0_S + 0.1, 1, np.array([2.0, 2.0]))
    assert np.isfinite([sample.values[1] for sample in samples]).all()
    (sample, *_) = aligner.add_activity(T0_S + 0.2, 2, np.array([2.0, np.nan]))
    assert np.isnan(sample.values[1])
    assert np.isfinite([sample.values[0] for sample in samples]).all()


@pytest.mark.parametrize(
    ("t_s", "index"), [(0.0, 0), (0.0166, 0), (0.0168, 1), (10.0, 300), (-0.5, -15)]
)
def test_a_stimulus_time_has_an_encoder_frame(t_s, index):
    aligner = Aligner(RATE_HZ)
    aligner.start_session(T0_S, 7.0)
    assert aligner.find_encoder_frame(T0_S + t_s) == index


def test_before_a_session_no_time_has_an_encoder_frame():
    with pytest.raises(ValueError, match="no session has started"):
        Aligner(RATE_HZ).find_encoder_frame(1.0)


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
    assert (sample.encoder_frame, sample.frame, sample.values.shape) == (0, 1, (2,))


@pytest.mark.skipif(not TRACES.exists(), reason=f"{TRACES.name} is not here")
def test_the_total_of_real_traces_is_kept():
    with np.load(TRACES) as file:
        traces = file["traces"][:, :400].astype(np.float32)  # (70, 400)
    sampled = T0_S + np.arange(400) / 19.41
    samples = resample(sampled, 19.41, lambda t: traces[:, np.searchsorted(sampled, t)])
    found = np.sum([sample.values for sample in samples], 0)
    # Of the first frame, only what falls into encoder frame 0 counts.
    expected = traces[:, 1:].sum(1) + traces[:, 0] * 19.41 / RATE_HZ
    missing = np.abs(traces[:, -1])  # part of it falls after the last encoder frame
    assert (np.abs(found - expected) <= missing + 1e-4 * np.abs(expected)).all()


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
