"""Noise and signal-to-noise ratio of traces with known noise and transients."""

import numpy as np
import pytest

from rtrecon.config import TracesSettings
from rtrecon.imaging.traces.noise import RunningNoise, RunningSnr

SETTINGS = TracesSettings()
RATE_HZ, N_FRAMES, N = 30.0, 1800, 60
NOISE_SD = 0.2  # dF/F
DECAY = np.exp(-1 / (SETTINGS.indicator_decay_s * RATE_HZ))


def make_traces(spikes_hz, size, drift=0.0, seed=0):
    """(n_frames, n) dF/F: transients of `size` s.d. of the noise, give or take 20 %."""
    rng = np.random.default_rng(seed)
    dff = (rng.random((N_FRAMES, N)) < spikes_hz / RATE_HZ).astype(float)
    dff *= size * NOISE_SD * rng.uniform(0.8, 1.2, dff.shape)
    for k in range(1, N_FRAMES):
        dff[k] += DECAY * dff[k - 1]
    dff += NOISE_SD * rng.normal(size=dff.shape)
    return (dff + np.linspace(0, drift, N_FRAMES)[:, None]).astype(np.float32)


def run_estimator(estimator, frames):
    for values in frames:
        estimator.add_values(values)
    return estimator


def estimate_noise(frames):
    return run_estimator(RunningNoise(frames.shape[1], RATE_HZ), frames).sd


# What the traces hold, and by how much at most the noise is then overestimated.
WORLDS = {
    "silent": (0.0, 0.0, 0.02),
    "sparse": (0.1, 8.0, 0.03),
    "a session's drift": (0.1, 8.0, 0.03, 1.0),
    "busy": (0.3, 8.0, 0.05),
    "never at rest": (1.0, 8.0, 0.12),
}


@pytest.mark.parametrize("name", WORLDS)
def test_noise_is_estimated_in_spite_of_transients(name):
    spikes_hz, size, most, *drift = WORLDS[name]
    error = estimate_noise(make_traces(spikes_hz, size, *drift)) / NOISE_SD - 1
    assert -0.02 < error.mean() < most
    assert error.std() < 0.06


def test_noise_equals_the_offline_median_of_changes():
    frames = make_traces(0.1, 8.0)
    gaps = np.abs(np.diff(frames, axis=0))
    offline = np.median(gaps, axis=0) / (0.6745 * np.sqrt(2))
    np.testing.assert_allclose(estimate_noise(frames), offline, rtol=0.15)
    estimator = run_estimator(RunningNoise(N, RATE_HZ), frames)
    nu = np.median(gaps, axis=0) / np.sqrt(RATE_HZ)
    np.testing.assert_allclose(estimator.standardized_noise(), nu, rtol=0.15)


def test_noise_is_known_within_a_second():
    frames = make_traces(0.1, 8.0)
    assert np.isnan(estimate_noise(frames[:1])).all()
    error = estimate_noise(frames[:30]) / NOISE_SD - 1
    assert np.median(np.abs(error)) < 0.2


def test_noise_follows_changes_during_a_session():
    quiet, loud = make_traces(0.0, 0.0), 2 * make_traces(0.0, 0.0, seed=1)
    sd = estimate_noise(np.concatenate([quiet, loud, loud, loud]))
    assert sd.mean() == pytest.approx(2 * NOISE_SD, rel=0.05)


def test_lost_frames_do_not_change_the_noise():
    frames = make_traces(0.1, 8.0)
    holed = frames.copy()
    holed[::5] = np.nan
    assert estimate_noise(holed).mean() == pytest.approx(NOISE_SD, rel=0.04)
    untouched = estimate_noise(np.full((20, 1), np.nan, np.float32))
    assert np.isnan(untouched).all()


@pytest.mark.parametrize("size", [4.0, 8.0, 20.0])
def test_snr_is_the_size_of_transients_over_noise(size):
    snr = run_estimator(
        RunningSnr(N, RATE_HZ, SETTINGS), make_traces(0.15, size)
    ).compute_snr()
    assert np.nanmedian(snr) == pytest.approx(size, rel=0.12)


def test_snr_accounts_for_a_slower_rise():
    rng = np.random.default_rng(0)
    t_s = np.arange(1, 120) / RATE_HZ
    shape = np.exp(-t_s / SETTINGS.indicator_decay_s) - np.exp(-t_s / 0.15)
    frames = NOISE_SD * rng.normal(size=(N_FRAMES, N))
    for start in range(100, N_FRAMES - 150, 150):
        frames[start : start + 119] += 8 * NOISE_SD * (shape / shape.max())[:, None]
    estimator = RunningSnr(N, RATE_HZ, SETTINGS, rise_s=0.15)
    snr = run_estimator(estimator, frames.astype(np.float32)).compute_snr()
    assert np.median(snr) == pytest.approx(8.0, rel=0.12)


def test_noise_alone_has_no_snr():
    snr = run_estimator(
        RunningSnr(N, RATE_HZ, SETTINGS), make_traces(0.0, 0.0)
    ).compute_snr()
    assert np.isnan(snr).mean() > 0.8
    assert np.isnan(snr).all() or np.nanmax(snr) < 5


def test_a_restored_estimate_continues_where_it_was():
    frames = make_traces(0.3, 8.0)
    whole = run_estimator(RunningSnr(N, RATE_HZ, SETTINGS), frames)
    first = run_estimator(RunningSnr(N, RATE_HZ, SETTINGS), frames[:900])
    second = RunningSnr(N, RATE_HZ, SETTINGS)
    second.restore_state(first.get_state())
    np.testing.assert_array_equal(
        run_estimator(second, frames[900:]).compute_snr(), whole.compute_snr()
    )
