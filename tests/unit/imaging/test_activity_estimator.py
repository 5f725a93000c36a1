"""Activity of known events at any microscope rate, with and without noise."""

import numpy as np
import pytest

from rtrecon.config import Settings
from rtrecon.imaging.timing.aligner import Aligner
from rtrecon.imaging.traces.activity_estimator import ActivityEstimator
from rtrecon.imaging.traces.deconvolution import make_deconvolver

N, SECONDS, ENCODER_HZ = 20, 24.0, 30.0
SETTINGS = Settings()
# Of dF/F in one second; a frame of 1/30 s has 0.05.
PHOTON_NOISE = 0.05 / np.sqrt(30)


def make_events():
    """(n_events, 2): neuron and time in s of each, at random phases of frames."""
    phases = np.random.default_rng(5).random((N, 4))
    return [(n, 2.0 + 5.0 * k + phases[n, k]) for n in range(N) for k in range(4)]


def make_dff(rate_hz, noise_sd):
    """(T, N) float32: each event is a step of 1 that decays with the indicator."""
    t_s = np.arange(round(SECONDS * rate_hz)) / rate_hz
    dff = noise_sd * np.random.default_rng(8).normal(size=(len(t_s), N))
    for n, at_s in make_events():
        since_s = t_s - at_s
        decay = np.exp(-since_s.clip(0) / SETTINGS.traces.indicator_decay_s)
        dff[:, n] += np.where(since_s >= 0, decay, 0)
    return dff.astype(np.float32)


def estimate_activity(rate_hz, noise_sd=0.0):
    """Return activity at encoder frames, (T, N), as a session records it."""
    estimator = ActivityEstimator(N, rate_hz, SETTINGS)
    aligner = Aligner(ENCODER_HZ)
    aligner.start_session(0.0, rate_hz / estimator.block_frames)
    lag = SETTINGS.traces.deconvolution_lag_frames * estimator.block_frames
    samples = []
    for k, dff in enumerate(make_dff(rate_hz, noise_sd)):
        activity = np.empty(N, np.float32)
        if estimator.add_frame(dff, activity) and k >= lag:
            samples += aligner.add_activity((k - lag) / rate_hz, k - lag, activity)
    return np.array([sample.values for sample in samples])


@pytest.mark.parametrize("rate_hz", [5, 7.5, 15, 19.41, 45.7, 60, 120, 480, 1000])
def test_events_and_their_total_are_equal_at_any_rate(rate_hz):
    activity, expected = estimate_activity(rate_hz), estimate_activity(ENCODER_HZ)
    assert np.nansum(activity) == pytest.approx(np.nansum(expected), rel=0.02)
    reach = int(np.ceil(1.5 * ENCODER_HZ / rate_hz)) + 2
    near = []
    for n, at_s in make_events():
        middle = round(at_s * ENCODER_HZ)
        near.append(np.nansum(activity[middle - reach : middle + reach + 1, n]))
    assert np.sum(np.array(near) > 0.5) == len(make_events())


def test_photon_noise_gives_about_as_much_activity_at_a_fast_microscope():
    # The same light in less time per frame: more noise in each of more frames.
    def total(rate_hz):
        return np.nansum(estimate_activity(rate_hz, PHOTON_NOISE * np.sqrt(rate_hz)))

    expected = total(ENCODER_HZ)
    for rate_hz in (60, 120, 480):
        assert total(rate_hz) == pytest.approx(expected, rel=0.1)


def test_at_the_encoders_rate_activity_is_the_deconvolved_dff_bit_by_bit():
    estimator = ActivityEstimator(N, ENCODER_HZ, SETTINGS)
    deconvolver = make_deconvolver(N, ENCODER_HZ, SETTINGS.traces)
    activity, expected = np.empty((2, N), np.float32)
    for dff in make_dff(ENCODER_HZ, 0.1):
        assert estimator.add_frame(dff, activity)
        deconvolver.deconvolve_frame(dff, expected)
        np.testing.assert_array_equal(activity, expected)


@pytest.mark.parametrize(("n_rejected", "is_lost"), [(7, False), (9, True)])
def test_a_block_without_half_of_its_frames_has_no_activity(n_rejected, is_lost):
    estimator = ActivityEstimator(N, 480.0, SETTINGS)
    lag = SETTINGS.traces.deconvolution_lag_frames
    blocks = np.ones((6, estimator.block_frames, N), np.float32)
    blocks[2, :n_rejected] = np.nan
    found = []
    for dff in blocks.reshape(-1, N):
        activity = np.empty(N, np.float32)
        if estimator.add_frame(dff, activity):
            found.append(bool(np.isnan(activity).all()))
    assert found == [True] * lag + [False, False, is_lost, False]
