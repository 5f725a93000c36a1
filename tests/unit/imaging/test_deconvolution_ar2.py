"""AR(2) deconvolution against the exact solution, and what it gains over AR(1)."""

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.signal import lfilter

from rtrecon.config import TracesSettings
from rtrecon.imaging.traces.deconvolution import Ar1Deconvolver, make_deconvolver
from rtrecon.imaging.traces.deconvolution_ar2 import (
    Ar2Deconvolver,
    compute_calcium_response,
)

RATE_HZ, DECAY_S, RISE_S = 30.0, 0.7, 0.05
LAG = 2
SETTINGS = TracesSettings(indicator_decay_s=DECAY_S, deconvolution_lag_frames=LAG)


def world(n_frames, n, noise_sd, rise_s=RISE_S, seed=0):
    """Return (spikes, dF/F): spikes of 0.5 to 1.5, at 0.6 Hz; noisy calcium."""
    rng = np.random.default_rng(seed)
    spikes = (rng.random((n_frames, n)) < 0.02) * rng.uniform(0.5, 1.5, (n_frames, n))
    calcium = lfilter(
        compute_calcium_response(DECAY_S, rise_s, RATE_HZ, 300), [1.0], spikes, axis=0
    )
    noisy = calcium + noise_sd * rng.normal(size=calcium.shape)
    return spikes, noisy.astype(np.float32)


def deconvolve(deconvolver, dff):
    """Return (n_frames, n) activity of each frame, without its lag; NaN at the end."""
    activity = np.full_like(dff, np.nan)
    out = np.empty(dff.shape[1], np.float32)
    for k, values in enumerate(dff):
        deconvolver.deconvolve_frame(values, out)
        if k >= LAG:
            activity[k - LAG] = out
    return activity


def exact(dff, window=60):
    """Activity >= 0 that fits all of the window best, as known `LAG` frames later."""
    lags = np.subtract.outer(np.arange(window), np.arange(window))
    kernel = compute_calcium_response(DECAY_S, RISE_S, RATE_HZ, window)
    of_spikes = np.where(lags >= 0, kernel[np.abs(lags)], 0)
    # What fired before the window still decays in it.
    k = np.arange(window)
    before = [np.exp(-k / (s * RATE_HZ)) for s in (DECAY_S, RISE_S)]
    design = np.column_stack([of_spikes, before[0], before[0] - before[1]])
    activity = np.full_like(dff, np.nan)
    for end in range(window, len(dff) + 1):
        for i in range(dff.shape[1]):
            solved, _ = nnls(design, dff[end - window : end, i].astype(float))
            activity[end - 1 - LAG, i] = solved[window - 1 - LAG]
    return activity


def r(found, truth):
    known = np.isfinite(found) & np.isfinite(truth)
    known[:80] = False
    return np.corrcoef(found[known], truth[known])[0, 1]


def test_without_noise_the_spikes_are_recovered():
    spikes, dff = world(400, 6, 0.0)
    activity = deconvolve(Ar2Deconvolver(6, RATE_HZ, SETTINGS, RISE_S), dff)
    assert r(activity, spikes) > 0.99
    known = np.isfinite(activity)
    assert activity[known].sum() == pytest.approx(spikes[known].sum(), rel=0.02)


@pytest.mark.parametrize(("noise_sd", "least"), [(0.1, 0.99), (0.3, 0.95)])
def test_the_result_is_close_to_the_exact_solution(noise_sd, least):
    spikes, dff = world(400, 5, noise_sd)
    activity = deconvolve(Ar2Deconvolver(5, RATE_HZ, SETTINGS, RISE_S), dff)
    best = exact(dff)
    assert r(activity, best) > least
    assert r(activity, spikes) > r(best, spikes) - 0.03


@pytest.mark.parametrize(
    ("rise_s", "noise_sd", "gain"),
    [(0.02, 0.1, 0.01), (0.05, 0.1, 0.12), (0.05, 0.3, 0.08), (0.15, 0.1, 0.25)],
)
def test_a_rise_time_improves_the_correlation_with_spikes(rise_s, noise_sd, gain):
    spikes, dff = world(900, 40, noise_sd, rise_s)
    with_rise = deconvolve(Ar2Deconvolver(40, RATE_HZ, SETTINGS, rise_s), dff)
    without = deconvolve(Ar1Deconvolver(40, RATE_HZ, SETTINGS), dff)
    assert r(with_rise, spikes) > r(without, spikes) + gain


def test_denoised_dff_has_less_noise():
    _, dff = world(900, 20, 0.3)
    _, truth = world(900, 20, 0.0)
    deconvolver, calcium = Ar2Deconvolver(20, RATE_HZ, SETTINGS, RISE_S), []
    for values in dff:
        deconvolver.deconvolve_frame(values, np.empty(20, np.float32))
        calcium.append(deconvolver.denoised_dff.copy())
    left = np.std(np.array(calcium)[80:] - truth[80:])
    assert left < 0.7 * 0.3


def test_lost_frames_count_as_time_without_a_value():
    _, dff = world(300, 4, 0.1)
    holed = dff.copy()
    holed[100:103] = holed[150, 2] = np.nan
    activity = deconvolve(Ar2Deconvolver(4, RATE_HZ, SETTINGS, RISE_S), holed)
    whole = deconvolve(Ar2Deconvolver(4, RATE_HZ, SETTINGS, RISE_S), dff)
    np.testing.assert_array_equal(np.isnan(activity[:-LAG]), np.isnan(holed[:-LAG]))
    np.testing.assert_array_equal(activity[:98], whole[:98])
    assert np.abs(activity[115:148] - whole[115:148]).max() < 0.2


def test_the_first_frames_have_no_activity_yet():
    deconvolver, out = Ar2Deconvolver(1, RATE_HZ, SETTINGS, RISE_S), np.empty(1)
    answers = []
    for _ in range(4):
        deconvolver.deconvolve_frame(np.zeros(1, np.float32), out)
        answers.append(out[0])
    np.testing.assert_array_equal(answers, [np.nan, np.nan, 0, 0])


def test_a_restored_deconvolver_continues_where_it_was():
    _, dff = world(200, 3, 0.3)
    first = Ar2Deconvolver(3, RATE_HZ, SETTINGS, RISE_S)
    second = Ar2Deconvolver(3, RATE_HZ, SETTINGS, RISE_S)
    deconvolve(first, dff[:100])
    second.restore_state(first.get_state())
    np.testing.assert_array_equal(
        deconvolve(first, dff[100:]), deconvolve(second, dff[100:])
    )


def test_a_rise_time_selects_ar2():
    assert isinstance(make_deconvolver(1, RATE_HZ, SETTINGS), Ar1Deconvolver)
    assert isinstance(make_deconvolver(1, RATE_HZ, SETTINGS, 0.05), Ar2Deconvolver)
    nothing = np.empty(0, np.float32)
    make_deconvolver(0, RATE_HZ, SETTINGS, 0.05).deconvolve_frame(nothing, nothing)


def test_the_calcium_response_peaks_at_one():
    peaks = [
        compute_calcium_response(0.7, rise_s, 30.0, 60).max()
        for rise_s in (None, 0.05, 0.2)
    ]
    np.testing.assert_allclose(peaks, 1.0, rtol=1e-6)
    assert (
        compute_calcium_response(0.7, 0.2, 30.0, 60).argmax()
        > compute_calcium_response(0.7, 0.05, 30, 60).argmax()
    )
