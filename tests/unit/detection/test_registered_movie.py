"""Motion is undone, bins are means of frames, and what cannot be used is said."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import RegisterSettings
from rtrecon.core.errors import UserError
from rtrecon.detection import registered_movie as module
from rtrecon.detection.movie import Movie
from rtrecon.detection.registered_movie import make_steady
from rtrecon.testing import small_field

SHAPE, PHOTONS = (96, 112), 20.0
SETTINGS = RegisterSettings(max_shift_px=12.0)


def quiet(*_told):
    """What is reported, nobody reads."""


def movie_of(frames):
    return Movie(frames[0].shape, len(frames), lambda: iter(frames))


def moving(shifts, seed=0):
    rng = np.random.default_rng(seed)
    field = small_field.field(SHAPE)
    return [field.frame(PHOTONS, rng, shift) for shift in shifts]


def swaying(n):
    """Within 3 px down and 2 px to the right of where the first frames lie."""
    phase = np.linspace(0, 6, n)
    return np.stack([3 * np.sin(phase) ** 2, 2 * np.sin(phase) ** 2], 1)


def test_motion_is_undone():
    frames = moving(swaying(60))
    steady = make_steady(movie_of(frames), SETTINGS, quiet)
    still = np.mean(moving(np.zeros((60, 2))), axis=0)
    inner = np.s_[10:-10, 10:-10]
    blurred = np.corrcoef(np.mean(frames, 0)[inner].ravel(), still[inner].ravel())
    sharp = [
        np.corrcoef(
            np.roll(steady.mean, move, (0, 1))[inner].ravel(), still[inner].ravel()
        )
        for move in [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    ]
    assert max(r[0, 1] for r in sharp) > 0.97 > blurred[0, 1]
    assert (steady.n_frames, steady.n_trusted) == (60, 60)


def test_bins_are_means_of_consecutive_frames(monkeypatch):
    monkeypatch.setattr(module, "_MOST_BINS", 10)
    frames = moving(np.zeros((45, 2)))  # five to a bin
    steady = make_steady(movie_of(frames), SETTINGS, quiet)
    assert len(steady.bins) == 9
    expected = np.mean(frames[5:10], axis=0)[20:-20, 20:-20]
    found = steady.bins[1, 20:-20, 20:-20]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97
    np.testing.assert_allclose(steady.mean, steady.bins.mean(0), rtol=1e-5)


def test_memory_is_bounded_by_the_number_of_values(monkeypatch):
    monkeypatch.setattr(module, "_MOST_VALUES", 8 * SHAPE[0] * SHAPE[1])
    steady = make_steady(movie_of(moving(np.zeros((64, 2)))), SETTINGS, quiet)
    assert steady.bins.shape == (8, *SHAPE)


def test_rows_and_columns_that_were_often_outside_are_not_seen():
    steady = make_steady(movie_of(moving(swaying(80))), SETTINGS, quiet)
    unseen = sum(
        side - len(range(side)[part])
        for side, part in zip(SHAPE, steady.seen, strict=True)
    )
    assert 3 <= unseen <= 8


def test_frames_of_another_field_are_left_out():
    frames = moving(np.zeros((40, 2)))
    rng = np.random.default_rng(5)
    noise = [rng.integers(0, 900, SHAPE).astype(np.int16) for _ in range(6)]
    steady = make_steady(movie_of(frames + noise), SETTINGS, quiet)
    alone = make_steady(movie_of(frames), SETTINGS, quiet)
    assert (steady.n_frames, steady.n_trusted) == (46, 40)
    np.testing.assert_allclose(steady.mean, alone.mean, rtol=0.01)


REFUSED = {
    "too short": (moving(np.zeros((5, 2))), "5 frames"),
    "dark": ([np.zeros(SHAPE, np.int16)] * 30, "constant"),
    "a few lines": ([np.eye(8, 64, dtype=np.int16)] * 30, "16 lines"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_said(case):
    frames, told = REFUSED[case]
    with pytest.raises(UserError, match=told):
        make_steady(movie_of(frames), SETTINGS, quiet)


def test_a_field_left_behind_is_said():
    field, other = moving(np.zeros((15, 2))), np.random.default_rng(1)
    noise = [other.integers(0, 900, SHAPE).astype(np.int16) for _ in range(200)]
    settings = SETTINGS.model_copy(update={"template_frames": 15})
    with pytest.raises(UserError, match="15 of 215 frames"):
        make_steady(movie_of(field + noise), settings, quiet)
