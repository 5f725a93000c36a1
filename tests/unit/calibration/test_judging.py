"""How an encoder and its movie are judged, on scores with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.calibration.judging import (
    MIN_MARGIN,
    ResponseScore,
    compare_movies,
    measure_reliability,
)
from rtrecon.calibration.recorded_minutes import RecordedRows
from rtrecon.training.calibration import InversionResult

N_FRAMES, SHAPE = 400, (9, 16)
EVERYWHERE = np.ones(SHAPE, bool)


def make_result(skill: float, seed: int) -> InversionResult:
    """A movie that has this correlation with its stimulus."""
    stimulus = np.random.default_rng(0).normal(size=(N_FRAMES, *SHAPE))
    noise = np.random.default_rng(seed).normal(size=stimulus.shape)
    movie = skill * stimulus + np.sqrt(1 - skill**2) * noise
    return InversionResult(stimulus, movie, EVERYWHERE, 0.0, torch.ones(1))


@pytest.mark.parametrize(
    ("skill", "is_clear"),
    [(0.5, True), (MIN_MARGIN / 2, False), (0.0, False)],
)
def test_a_movie_is_clear_if_it_is_better_than_its_null(skill, is_clear):
    score = compare_movies(make_result(skill, 1), make_result(0.0, 2))
    # Of 400 frames with 144 pixels, the standard error of r is 0.004.
    assert score.r == pytest.approx(skill, abs=0.02)
    assert score.null_r == pytest.approx(0, abs=0.02)
    assert score.is_clear is is_clear


def test_a_movie_that_is_good_in_one_moment_only_is_not_clear():
    found, null = make_result(0.0, 1), make_result(0.0, 2)
    found.reconstruction[:75] = found.stimulus[:75]
    score = compare_movies(found, null)
    assert score.r > MIN_MARGIN
    assert not score.is_clear


def test_a_blank_movie_is_not_clear():
    found = make_result(0.5, 1)
    found.reconstruction[:] = 0
    assert not compare_movies(found, make_result(0.0, 2)).is_clear


def test_the_ceiling_is_the_root_of_the_reliability():
    r = np.array([0.3, 0.3, 0.0])
    score = ResponseScore(r, np.array([True, True, False]))
    assert score.share_of_ceiling(np.array([0.36, 0.36, 0.0])) == pytest.approx(0.5)
    assert score.share_of_ceiling(None) is None
    assert score.share_of_ceiling(np.zeros(3)) is None


def test_reliability_is_measured_between_showings_of_the_same_clip():
    rng = np.random.default_rng(0)
    clip = rng.integers(1, 2**60, 600).astype(np.uint64)
    signal, noise = rng.normal(size=(600, 1)), rng.normal(size=(1200, 50))
    activity = np.concatenate([signal, signal]) + noise  # r = 0.5
    rows = RecordedRows(np.arange(1200), clip, clip, activity)
    found = measure_reliability(rows, np.concatenate([clip, clip]), rate_hz=15.0)
    assert found is not None
    # 600 frames of 50 neurons with a common signal: the error of the mean is 0.03.
    assert found.mean() == pytest.approx(0.5, abs=0.1)
    assert measure_reliability(rows, np.arange(1, 1201, dtype=np.uint64), 15.0) is None
