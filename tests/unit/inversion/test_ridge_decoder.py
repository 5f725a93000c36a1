"""Ridge regression on a linear population: neurons are weighted sums of a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.offline.ridge_decoder import (
    BINS,
    PENALTIES,
    bin_activity,
    fit_ridge,
    fit_scale,
    split_clips,
)
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.metrics.similarity import video_correlation
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from tests.support import inversion_world as world

N_CLIPS = 5


TRAINING = [world.make_linear_clip(seed) for seed in range(N_CLIPS)]
TEST = world.make_linear_clip(N_CLIPS)


@pytest.fixture(scope="module")
def ridge():
    return fit_ridge(TRAINING)


def score(decoder, clip=TEST):
    # Of the last frames nothing is known yet: neurons are late.
    made = decoder.decode(clip.target)[: -BINS[-1][1]]
    return video_correlation(made, clip.stimulus[: len(made)])


def test_the_movie_of_a_linear_population_is_decoded(ridge):
    movie = ridge.decode(TEST.target)
    assert movie.shape == (world.LINEAR_FRAMES, *IMAGE_SHAPE)
    assert movie.dtype == np.float32
    assert 0 <= movie.min() < movie.max() <= 255
    assert score(ridge) > 0.9


def test_the_validation_score_predicts_the_test_score(ridge):
    assert score(ridge) == pytest.approx(ridge.score, abs=0.05)


def test_exchanged_neurons_find_nothing(ridge):
    scores = [
        score(ridge, replace(clip, target=world.exchange_activity(clip.target)))
        for clip in TRAINING
    ]
    assert abs(np.mean(scores)) < 0.15


def test_more_noise_needs_a_larger_penalty(ridge):
    noisy = fit_ridge(
        [world.make_linear_clip(seed, noise=3.0) for seed in range(N_CLIPS)]
    )
    assert ridge.penalty in PENALTIES
    assert noisy.penalty > ridge.penalty
    assert noisy.score < ridge.score


def test_weights_solve_least_squares(ridge):
    """Compare with the normal equations of all frames at once."""
    x = np.concatenate(
        [bin_activity(ridge.scale.z_score(clip.target)) for clip in TRAINING]
    )
    y = np.concatenate(
        [make_dct_basis().from_pixels(clip.stimulus) for clip in TRAINING]
    )
    x, y = x - x.mean(0), y - y.mean(0)
    square = x.T @ x + len(x) * ridge.penalty * np.eye(x.shape[1])
    np.testing.assert_allclose(
        ridge.weights, np.linalg.solve(square, x.T @ y), rtol=1e-3, atol=1e-4
    )


def test_lost_activity_is_replaced_by_the_mean(ridge):
    lossy = TEST.target.activity.copy()
    lossy[50:53] = np.nan
    movie = ridge.decode(InversionTarget(lossy, TEST.target.behavior))
    assert np.isfinite(movie).all()
    far = np.r_[:30, 70:100]
    expected = ridge.decode(TEST.target)[far]
    np.testing.assert_allclose(movie[far], expected, atol=1e-2)
    mean = np.broadcast_to(ridge.scale.mean, lossy.shape)
    silent = ridge.decode(InversionTarget(mean, TEST.target.behavior))
    assert np.ptp(silent, axis=0).max() < 1e-2


def test_frames_with_unknown_stimulus_do_not_count(ridge):
    holed = [replace(clip, stimulus=clip.stimulus.copy()) for clip in TRAINING]
    for clip in holed:
        clip.stimulus[:20] = np.nan
    assert score(fit_ridge(holed)) == pytest.approx(score(ridge), abs=0.05)


def test_bins_average_activity_around_a_frame():
    activity = np.random.default_rng(0).normal(size=(30, 2))
    made = bin_activity(activity).reshape(30, len(BINS), 2)
    padded = np.pad(activity, ((20, 20), (0, 0)))
    for t in (0, 3, 15, 29):
        for place, (first, stop) in enumerate(BINS):
            expected = padded[20 + t + first : 20 + t + stop].mean(0)
            np.testing.assert_allclose(made[t, place], expected, atol=1e-12)


def test_a_decoder_with_a_shorter_look_ahead_ignores_later_activity():
    decoder = fit_ridge(TRAINING, bins=BINS[:2])
    later = TEST.target.activity.copy()
    later[50 + BINS[1][1] :] = 0
    changed = decoder.decode(InversionTarget(later, TEST.target.behavior))
    movie = decoder.decode(TEST.target)
    np.testing.assert_array_equal(changed[:51], movie[:51])
    assert np.abs(changed[51] - movie[51]).max() > 0


def test_a_constant_neuron_has_no_influence():
    clips = [replace(clip, target=replace(clip.target)) for clip in TRAINING[:4]]
    still = [
        replace(
            clip,
            target=InversionTarget(
                with_still(clip.target.activity), clip.target.behavior
            ),
        )
        for clip in clips
    ]
    scale = fit_scale(still)
    assert (scale.sd > 0).all()
    assert np.isfinite(fit_ridge(still).decode(still[0].target)).all()


def with_still(activity):
    activity = activity.copy()
    activity[:, 0], activity[:, 1] = 3.0, np.nan
    return activity


def test_training_and_validation_clips_are_disjoint():
    fitted, kept = split_clips(TRAINING)
    assert [clip.name for clip in fitted + kept] == [clip.name for clip in TRAINING]
    assert len(kept) == 1


@pytest.mark.parametrize(
    "clips", [[], TRAINING[:1], [TRAINING[0], replace(TRAINING[1], stimulus=None)]]
)
def test_too_few_clips_are_refused(clips):
    with pytest.raises(UserError, match="a decoder needs two or more"):
        fit_ridge(clips)
