"""Decoders in a world that is linear: each neuron a weighted sum of a late frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.inversion.offline.ridge_decoder import (
    BINS,
    PENALTIES,
    binned,
    divided,
    fit_ridge,
    scale_of,
)
from rtrecon.inversion.offline.target import Target
from rtrecon.metrics.similarity import video_correlation
from tests.support import inversion_world as world

N_CLIPS = 8


TRAINING = [world.linear_clip(seed) for seed in range(N_CLIPS)]
TEST = world.linear_clip(N_CLIPS)


@pytest.fixture(scope="module")
def ridge():
    return fit_ridge(TRAINING)


def score(decoder, clip=TEST):
    # Of the last frames nothing is known yet: neurons are late.
    made = decoder.movie(clip.target)[: -BINS[-1][1]]
    return video_correlation(made, clip.shown[: len(made)])


def test_a_linear_world_is_read_back(ridge):
    movie = ridge.movie(TEST.target)
    assert movie.shape == (world.LINEAR_FRAMES, *SHAPE)
    assert movie.dtype == np.float32
    assert 0 <= movie.min() < movie.max() <= 255
    assert score(ridge) > 0.9


def test_the_score_it_was_chosen_by_is_that_of_new_clips(ridge):
    assert score(ridge) == pytest.approx(ridge.score, abs=0.05)


def test_neurons_exchanged_tell_nothing(ridge):
    scores = [
        score(ridge, replace(clip, target=world.exchanged(clip.target)))
        for clip in TRAINING
    ]
    assert abs(np.mean(scores)) < 0.15


def test_more_noise_wants_more_penalty(ridge):
    noisy = fit_ridge([world.linear_clip(seed, noise=3.0) for seed in range(N_CLIPS)])
    assert ridge.penalty in PENALTIES
    assert noisy.penalty > ridge.penalty
    assert noisy.score < ridge.score


def test_weights_are_those_of_least_squares(ridge):
    """Against the normal equations of all frames at once."""
    x = np.concatenate([binned(ridge.scale.scored(clip.target)) for clip in TRAINING])
    y = np.concatenate([spectrum().from_pixels(clip.shown) for clip in TRAINING])
    x, y = x - x.mean(0), y - y.mean(0)
    square = x.T @ x + len(x) * ridge.penalty * np.eye(x.shape[1])
    np.testing.assert_allclose(
        ridge.weights, np.linalg.solve(square, x.T @ y), rtol=1e-3, atol=1e-4
    )


def test_lost_activity_is_taken_at_its_mean(ridge):
    lossy = TEST.target.activity.copy()
    lossy[50:53] = np.nan
    movie = ridge.movie(Target(lossy, TEST.target.behavior))
    assert np.isfinite(movie).all()
    far = np.r_[:30, 70:100]
    expected = ridge.movie(TEST.target)[far]
    np.testing.assert_allclose(movie[far], expected, atol=1e-2)
    mean = np.broadcast_to(ridge.scale.mean, lossy.shape)
    silent = ridge.movie(Target(mean, TEST.target.behavior))
    assert np.ptp(silent, axis=0).max() < 1e-2


def test_frames_whose_stimulus_is_not_known_are_left_out(ridge):
    holed = [replace(clip, shown=clip.shown.copy()) for clip in TRAINING]
    for clip in holed:
        clip.shown[:20] = np.nan
    assert score(fit_ridge(holed)) == pytest.approx(score(ridge), abs=0.05)


def test_bins_average_the_frames_around():
    activity = np.random.default_rng(0).normal(size=(30, 2))
    made = binned(activity).reshape(30, len(BINS), 2)
    padded = np.pad(activity, ((20, 20), (0, 0)))
    for t in (0, 3, 15, 29):
        for place, (first, stop) in enumerate(BINS):
            expected = padded[20 + t + first : 20 + t + stop].mean(0)
            np.testing.assert_allclose(made[t, place], expected, atol=1e-12)


def test_a_neuron_that_never_changes_says_nothing():
    clips = [replace(clip, target=replace(clip.target)) for clip in TRAINING[:4]]
    still = [
        replace(
            clip, target=Target(with_still(clip.target.activity), clip.target.behavior)
        )
        for clip in clips
    ]
    scale = scale_of(still)
    assert (scale.sd > 0).all()
    assert np.isfinite(fit_ridge(still).movie(still[0].target)).all()


def with_still(activity):
    activity = activity.copy()
    activity[:, 0], activity[:, 1] = 3.0, np.nan
    return activity


def test_clips_to_fit_and_to_choose_by_are_not_the_same():
    fitted, kept = divided(TRAINING)
    assert [clip.name for clip in fitted + kept] == [clip.name for clip in TRAINING]
    assert len(kept) == 2


@pytest.mark.parametrize(
    "clips", [[], TRAINING[:1], [TRAINING[0], replace(TRAINING[1], shown=None)]]
)
def test_too_few_clips_are_refused(clips):
    with pytest.raises(UserError, match="a decoder needs two or more"):
        fit_ridge(clips)
