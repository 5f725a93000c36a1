from __future__ import annotations

import math

import numpy as np
import pytest

from rtrecon.imaging.timing.aligner import Aligner, EncoderSample
from rtrecon.imaging.timing.volume import Volume, VolumeSample

NEURONS = [np.array([0, 3]), np.array([1, 2])]
MAX_WAIT_FRAMES = 4


def make_sample(index, *values):
    return EncoderSample(index, np.array(values, np.float32), frame=index)


def add_samples(volume, *steps):
    """Add samples of planes; return (index, values) of those that are complete."""
    out = []
    for plane, samples in steps:
        out += volume.add_plane_samples(
            plane, [VolumeSample(sample, 10.0 + plane) for sample in samples]
        )
    return [(done.sample.encoder_frame, done.sample.values.tolist()) for done in out]


@pytest.fixture
def volume():
    return Volume(NEURONS, MAX_WAIT_FRAMES)


def test_a_sample_waits_for_all_planes_and_keeps_the_order_of_neurons(volume):
    assert add_samples(volume, (0, [make_sample(0, 1, 4)])) == []
    assert add_samples(volume, (1, [make_sample(0, 2, 3)])) == [(0, [1, 2, 3, 4])]


def test_samples_are_returned_in_order(volume):
    steps = (
        (0, [make_sample(0, 1, 1), make_sample(1, 5, 5)]),
        (1, [make_sample(0, 1, 1), make_sample(1, 5, 5)]),
    )
    assert [index for index, _ in add_samples(volume, *steps)] == [0, 1]


def test_a_sample_has_the_time_of_its_newest_image(volume):
    volume.add_plane_samples(0, [VolumeSample(make_sample(0, 1, 4), 1.0, is_late=True)])
    (done,) = volume.add_plane_samples(1, [VolumeSample(make_sample(0, 2, 3), 2.0)])
    assert (done.t_received_s, done.is_late) == (2.0, True)


def test_a_silent_plane_delays_samples_for_a_limited_time(volume):
    samples = [make_sample(k, k, k) for k in range(MAX_WAIT_FRAMES + 1)]
    ((index, values),) = add_samples(volume, (0, samples))
    assert index == 0
    np.testing.assert_array_equal(values, [0, np.nan, np.nan, 0])


def test_a_plane_that_catches_up_is_waited_for(volume):
    many = [
        VolumeSample(make_sample(k, k, k), 10.0) for k in range(5 * MAX_WAIT_FRAMES)
    ]
    assert volume.add_plane_samples(0, many, is_catching_up=True) == []
    done = volume.add_plane_samples(1, many, is_catching_up=True)
    assert [complete.sample.encoder_frame for complete in done] == list(
        range(5 * MAX_WAIT_FRAMES)
    )


def test_samples_that_arrive_too_late_are_discarded(volume):
    add_samples(volume, (0, [make_sample(k, k, k) for k in range(MAX_WAIT_FRAMES + 1)]))
    late = add_samples(volume, (1, [make_sample(0, 9, 9), make_sample(1, 9, 9)]))
    assert late == [(1, [1, 9, 9, 1])]


def test_a_sample_that_one_plane_skips_is_nan_for_its_neurons(volume):
    out = add_samples(
        volume,
        (0, [make_sample(0, 1, 1), make_sample(1, 1, 1)]),
        (1, [make_sample(1, 2, 2)]),
    )
    assert [index for index, _ in out] == [0, 1]
    np.testing.assert_array_equal(out[0][1], [1, np.nan, np.nan, 1])


def test_a_single_plane_never_waits():
    volume = Volume([np.arange(2)], MAX_WAIT_FRAMES)
    assert add_samples(volume, (0, [make_sample(0, 1, 2)])) == [(0, [1, 2])]


@pytest.mark.parametrize("volume_hz", [5.0, 7.5, 30.0, 45.0, 120.0])
def test_the_total_activity_of_each_plane_is_kept_at_any_volume_rate(volume_hz):
    volume = Volume(NEURONS, max_wait_frames=math.ceil(2.5 * 30.0 / volume_hz))
    aligners = [Aligner(30.0) for _ in NEURONS]
    for aligner in aligners:
        aligner.start_session(0.0, volume_hz, 0.0)
    n_volumes, done = round(20 * volume_hz), []
    activity = np.zeros((n_volumes, 2), np.float32)
    activity[round(volume_hz) : -round(volume_hz) : 3] = 1.0
    for k in range(n_volumes):
        for plane, aligner in enumerate(aligners):
            # The planes of a volume are scanned one after the other.
            t_s = (k + plane / len(aligners)) / volume_hz
            samples = aligner.add_activity(t_s, k, activity[k])
            parts = [VolumeSample(sample, t_s) for sample in samples]
            done += volume.add_plane_samples(plane, parts)
    assert [one.sample.encoder_frame for one in done] == list(range(len(done)))
    values = np.array([one.sample.values for one in done])
    assert np.isfinite(values[1:]).all()
    np.testing.assert_allclose(np.nansum(values, 0), activity[:, 0].sum(), rtol=1e-4)
