"""Registration removes motion, bins are means of frames, bad movies are refused."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings
from rtrecon.core.errors import UserError
from rtrecon.detection import registered_movie as module
from rtrecon.detection.plane_movie import PlaneMovie
from rtrecon.detection.registered_movie import register_movie
from rtrecon.testing import synthetic_field
from tests.support.detection_world import ignore_progress

SHAPE, PHOTONS = (96, 112), 20.0
SETTINGS = RegistrationSettings(max_shift_px=12.0)


def make_movie(frames):
    return PlaneMovie(frames[0].shape, len(frames), lambda: iter(frames))


def make_moving_frames(shifts, seed=0):
    rng = np.random.default_rng(seed)
    field = synthetic_field.make_field(SHAPE)
    return [field.render_frame(PHOTONS, rng, shift) for shift in shifts]


def make_swaying_shifts(n):
    """Within 3 px down and 2 px to the right of where the first frames lie."""
    phase = np.linspace(0, 6, n)
    return np.stack([3 * np.sin(phase) ** 2, 2 * np.sin(phase) ** 2], 1)


def test_registration_removes_motion():
    frames = make_moving_frames(make_swaying_shifts(60))
    registered = register_movie(make_movie(frames), SETTINGS, ignore_progress)
    still = np.mean(make_moving_frames(np.zeros((60, 2))), axis=0)
    inner = np.s_[10:-10, 10:-10]
    blurred = np.corrcoef(np.mean(frames, 0)[inner].ravel(), still[inner].ravel())
    sharp = [
        np.corrcoef(
            np.roll(registered.mean, move, (0, 1))[inner].ravel(), still[inner].ravel()
        )
        for move in [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    ]
    assert max(r[0, 1] for r in sharp) > 0.97 > blurred[0, 1]
    assert (registered.n_frames, registered.n_accepted) == (60, 60)


def test_bins_are_means_of_consecutive_frames(monkeypatch):
    monkeypatch.setattr(module, "_MAX_BINS", 10)
    frames = make_moving_frames(np.zeros((45, 2)))  # five to a bin
    registered = register_movie(make_movie(frames), SETTINGS, ignore_progress)
    assert len(registered.bins) == 9
    expected = np.mean(frames[5:10], axis=0)[20:-20, 20:-20]
    found = registered.bins[1, 20:-20, 20:-20]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97
    np.testing.assert_allclose(registered.mean, registered.bins.mean(0), rtol=1e-5)


def test_memory_is_bounded_by_the_number_of_values(monkeypatch):
    monkeypatch.setattr(module, "_MAX_VALUES", 8 * SHAPE[0] * SHAPE[1])
    registered = register_movie(
        make_movie(make_moving_frames(np.zeros((64, 2)))), SETTINGS, ignore_progress
    )
    assert registered.bins.shape == (8, *SHAPE)


def test_rows_and_columns_that_are_often_outside_are_not_visible():
    registered = register_movie(
        make_movie(make_moving_frames(make_swaying_shifts(80))),
        SETTINGS,
        ignore_progress,
    )
    hidden = sum(
        side - len(range(side)[part])
        for side, part in zip(SHAPE, registered.visible, strict=True)
    )
    assert 3 <= hidden <= 8


def test_frames_of_another_field_are_left_out():
    frames = make_moving_frames(np.zeros((40, 2)))
    rng = np.random.default_rng(5)
    noise = [rng.integers(0, 900, SHAPE).astype(np.int16) for _ in range(6)]
    registered = register_movie(make_movie(frames + noise), SETTINGS, ignore_progress)
    alone = register_movie(make_movie(frames), SETTINGS, ignore_progress)
    assert (registered.n_frames, registered.n_accepted) == (46, 40)
    np.testing.assert_allclose(registered.mean, alone.mean, rtol=0.01)


REFUSED = {
    "too short": (make_moving_frames(np.zeros((5, 2))), "5 frames"),
    "dark": ([np.zeros(SHAPE, np.int16)] * 30, "constant"),
    "a few lines": ([np.eye(8, 64, dtype=np.int16)] * 30, "16 lines"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_movies_are_refused_with_the_reason(case):
    frames, words = REFUSED[case]
    with pytest.raises(UserError, match=words):
        register_movie(make_movie(frames), SETTINGS, ignore_progress)


def test_a_field_that_moves_away_is_refused():
    field, other = make_moving_frames(np.zeros((15, 2))), np.random.default_rng(1)
    noise = [other.integers(0, 900, SHAPE).astype(np.int16) for _ in range(200)]
    settings = SETTINGS.model_copy(update={"template_frames": 15})
    with pytest.raises(UserError, match="15 of 215 frames"):
        register_movie(make_movie(field + noise), settings, ignore_progress)
