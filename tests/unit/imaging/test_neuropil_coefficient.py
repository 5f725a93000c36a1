"""The neuropil coefficient of cells for which it is known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from rtrecon.config import TracesSettings
from rtrecon.imaging.traces.baseline import DffCalculator
from rtrecon.imaging.traces.neuropil_coefficient import (
    FittedNeuropilCoefficient,
    FixedNeuropilCoefficient,
    make_neuropil_coefficient,
)

RATE_HZ, MINUTES = 30.0, 3
N_FRAMES = round(MINUTES * 60 * RATE_HZ)
COEFFICIENTS = np.repeat([0.2, 0.4, 0.7, 0.9, 1.0], 12)
N = len(COEFFICIENTS)
SETTINGS = TracesSettings().model_copy(update={"neuropil_coefficient": "fitted"})
TRANSIENT = 150.0  # counts, over a rest of 200


def slow_noise(n_frames, frames, rng):
    """(n_frames, N) of s.d. 1, that changes within so many frames."""
    keep = np.exp(-1 / frames)
    noise = rng.normal(size=(n_frames, N)) * np.sqrt(1 - keep**2)
    return lfilter([1.0], [1.0, -keep], noise, axis=0)


def make_traces(spikes_hz=0.1, drive=0.5, cell_noise=20.0, swing=15.0, seed=0):
    """Return (cell, neuropil) counts, N_FRAMES x N each.

    drive: share of the neuropil's variance that makes the cell fire, too. swing: s.d.
    of the neuropil. Everything bleaches by a tenth.
    """
    rng = np.random.default_rng(seed)
    common, own = slow_noise(N_FRAMES, 45, rng), slow_noise(N_FRAMES, 15, rng)
    rate = spikes_hz / RATE_HZ * np.exp(drive * common - drive**2 / 2)
    spikes = (rng.random(rate.shape) < rate) * rng.uniform(0.5, 1.5, rate.shape)
    decay = np.exp(-1 / (SETTINGS.indicator_decay_s * RATE_HZ))
    soma = TRANSIENT * lfilter([1.0], [1.0, -decay], spikes, axis=0)
    fade = np.linspace(1, 0.9, N_FRAMES)[:, None]
    moving = swing * (np.sqrt(drive) * common + np.sqrt(1 - drive) * own)
    neuropil = (150 + moving) * fade
    cell = 200 * fade + soma + COEFFICIENTS * neuropil
    cell += cell_noise * rng.normal(size=cell.shape)
    neuropil = neuropil + 4 * rng.normal(size=cell.shape)
    return cell.astype(np.float32), neuropil.astype(np.float32)


def fit_coefficients(cell, neuropil):
    estimator, out = (
        FittedNeuropilCoefficient(N, RATE_HZ, SETTINGS),
        np.empty(N, np.float32),
    )
    for frame in zip(cell, neuropil, strict=True):
        estimator.subtract_neuropil(*frame, out)
    return estimator


def rms_error(found):
    return float(np.sqrt(np.mean((found - COEFFICIENTS) ** 2)))


# Worlds, and the most that the error (r.m.s.) may be; of 0.7 for all it is 0.31.
WORLDS = {
    "no activity": ({"spikes_hz": 0.0}, 0.08),
    "independent": ({"drive": 0.0}, 0.09),
    "common drive": ({}, 0.11),
    "common drive, busy": ({"spikes_hz": 0.3}, 0.16),
    "common drive, clear": ({"spikes_hz": 0.3, "cell_noise": 10.0}, 0.14),
}


@pytest.mark.parametrize("name", WORLDS)
def test_a_known_coefficient_is_recovered(name):
    knobs, most = WORLDS[name]
    found = fit_coefficients(*make_traces(**knobs)).coefficient
    assert rms_error(found) < most
    means = [found[share == COEFFICIENTS].mean() for share in np.unique(COEFFICIENTS)]
    assert (np.diff(means) > 0).all()


HARD = {
    "noisy": {"spikes_hz": 0.3, "cell_noise": 60.0},
    "hardly at rest": {"spikes_hz": 0.9},
    "still neuropil": {"swing": 2.0},
}


@pytest.mark.parametrize("name", HARD)
def test_in_hard_cases_the_fit_is_no_worse_than_the_usual_coefficient(name):
    found = fit_coefficients(*make_traces(**HARD[name])).coefficient
    assert rms_error(found) < rms_error(0.7) + 0.03


def test_without_evidence_the_usual_coefficient_is_used():
    cell, neuropil = make_traces()
    found = fit_coefficients(cell[:290], neuropil[:290]).coefficient  # less than 10 s
    np.testing.assert_array_equal(found, np.float32(0.7))
    neuropil[:] = np.nan
    np.testing.assert_array_equal(
        fit_coefficients(cell, neuropil).coefficient, np.float32(0.7)
    )
    still = np.full((90, N), 100, np.float32)
    np.testing.assert_array_equal(
        fit_coefficients(still, still).coefficient, np.float32(0.7)
    )


def test_without_spikes_the_fit_equals_offline_regression():
    cell, neuropil = make_traces(spikes_hz=0.0, swing=30.0)
    found = fit_coefficients(cell, neuropil).coefficient
    cells, neuropils = (
        lfilter([0.1], [1, -0.9], x.T)[:, 300:] for x in (cell, neuropil)
    )
    offline = [np.polyfit(r, c, 1)[0] for c, r in zip(cells, neuropils, strict=True)]
    assert np.sqrt(np.mean((found - np.clip(offline, 0, 1)) ** 2)) < 0.08


def test_the_subtracted_neuropil_is_the_coefficient_times_neuropil():
    rng = np.random.default_rng(0)
    cell, neuropil = rng.normal(200, 5, (2, 25, 3)).astype(np.float32)
    neuropil[:, 1], cell[7, 2] = np.nan, np.nan
    # A fitted share moves, so that it is taken off the changes since the first frame.
    estimators = (
        (FixedNeuropilCoefficient(3, 0.7), 0),
        (FittedNeuropilCoefficient(3, RATE_HZ, SETTINGS), neuropil[0]),
    )
    for estimator, since in estimators:
        out = np.empty_like(cell)
        for frame in zip(cell, neuropil, out, strict=True):
            estimator.subtract_neuropil(*frame)
        expected = cell - np.nan_to_num(np.float32(0.7) * (neuropil - since))
        np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_lost_frames_change_nothing():
    cell, neuropil = make_traces()
    cell, neuropil = cell[:2000], neuropil[:2000]
    whole = fit_coefficients(cell, neuropil).coefficient
    holed = np.insert(cell, 1000, np.nan, axis=0)
    found = fit_coefficients(holed, np.insert(neuropil, 1000, 150, axis=0)).coefficient
    np.testing.assert_allclose(found, whole, atol=0.02)


def test_a_fitted_coefficient_improves_the_trace():
    cell, neuropil = make_traces(spikes_hz=0.0, swing=30.0)
    left = {}
    for coefficient in (0.7, "fitted"):
        settings = SETTINGS.model_copy(update={"neuropil_coefficient": coefficient})
        change, dff = DffCalculator(N, RATE_HZ, settings), np.empty_like(cell)
        for frame in zip(cell, neuropil, dff, strict=True):
            change.compute_dff(*frame)
        smooth = lfilter([0.1], [1, -0.9], dff, axis=0)
        left[coefficient] = smooth[2700:, COEFFICIENTS == 0.2].std(0).mean()
    assert left["fitted"] < 0.6 * left[0.7]


@pytest.mark.parametrize("coefficient", [0.7, "fitted"])
def test_a_restored_coefficient_continues_where_it_was(coefficient):
    settings = SETTINGS.model_copy(update={"neuropil_coefficient": coefficient})
    cell, neuropil = make_traces()
    first, second = (DffCalculator(N, RATE_HZ, settings) for _ in range(2))
    out, again = np.empty((2, N), np.float32)
    for k in range(400):
        first.compute_dff(cell[k], neuropil[k], out)
    second.restore_state(first.get_state())
    for k in range(400, 500):
        first.compute_dff(cell[k], neuropil[k], out)
        second.compute_dff(cell[k], neuropil[k], again)
        np.testing.assert_array_equal(again, out)
    np.testing.assert_array_equal(
        second.neuropil_coefficient, first.neuropil_coefficient
    )


def test_the_settings_select_a_fixed_or_fitted_coefficient():
    assert isinstance(
        make_neuropil_coefficient(1, RATE_HZ, TracesSettings()),
        FixedNeuropilCoefficient,
    )
    assert isinstance(
        make_neuropil_coefficient(1, RATE_HZ, SETTINGS), FittedNeuropilCoefficient
    )
