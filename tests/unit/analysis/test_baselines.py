"""Baselines of an evaluation: ridge regression, a still movie, identification."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtrecon.analysis.evaluation import ridge_baseline
from rtrecon.analysis.evaluation.baselines import predict_activity, show_mean_frame
from rtrecon.analysis.evaluation.identification import identify_clips
from rtrecon.analysis.evaluation.ridge_baseline import decode_by_other_clips
from rtrecon.analysis.evaluation.scores import ClipResult, ClipScorer
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.sensitivity import get_mean_frame
from rtrecon.inversion.offline.ridge_decoder import (
    PENALTIES,
    RidgeDecoder,
    bin_activity,
    fit_scale,
)
from rtrecon.metrics.similarity import video_correlation
from tests.support import inversion_world as world

N_FRAMES, N = 90, 12
SCREEN = np.ones((36, 64), bool)


@pytest.fixture(scope="module")
def clips():
    """Activity that is linear in the stimulus."""
    return [world.make_linear_clip(seed) for seed in range(3)]


def test_ridge_regression_decodes_a_clip_from_the_others(clips, monkeypatch):
    monkeypatch.setattr(ridge_baseline, "PENALTIES", (0.1, 1.0))
    movies = decode_by_other_clips(clips)
    assert [movie.shape for movie in movies] == [clip.stimulus.shape for clip in clips]
    r = [
        video_correlation(movie, clip.stimulus)
        for movie, clip in zip(movies, clips, strict=True)
    ]
    assert min(r) > 0.3


def test_the_weights_are_those_of_the_decoder_by_features(clips, monkeypatch):
    """Solved by frames or by features, the regression is the same."""
    penalty = PENALTIES[3]
    monkeypatch.setattr(ridge_baseline, "PENALTIES", (penalty,))
    found = decode_by_other_clips(clips)[0]
    scale = fit_scale(clips)
    x, y = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (
                    bin_activity(scale.z_score(clip.target)),
                    make_dct_basis().from_pixels(clip.stimulus).numpy(),
                )
                for clip in clips[1:]
            ),
            strict=True,
        )
    )
    centred = x - x.mean(0)
    system = centred.T @ centred + penalty * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(system, centred.T @ (y - y.mean(0)))
    decoder = RidgeDecoder(scale, weights, y.mean(0) - x.mean(0) @ weights)
    np.testing.assert_allclose(found, decoder.decode(clips[0].target), atol=0.05)


def test_ridge_regression_needs_another_clip_and_every_stimulus(clips):
    assert decode_by_other_clips(clips[:1]) == []
    assert decode_by_other_clips([clips[0], replace(clips[1], stimulus=None)]) == []


def test_the_mean_frame_is_a_still_movie_with_a_prediction():
    checkpoint, moving = world.make_checkpoint(N), world.make_clip(40, neurons=N)
    behavior = np.repeat(moving.target.behavior[:1], 40, 0)
    clip = replace(moving, target=replace(moving.target, behavior=behavior))
    (still,) = show_mean_frame(checkpoint, [clip])
    assert (still.movie == get_mean_frame(checkpoint)).all()
    assert still.predicted.shape == clip.target.activity.shape
    assert still.predicted.std(0).max() < 1e-3
    scores = ClipScorer(np.ones(N, bool), SCREEN).score_fully(still)
    assert np.isnan(scores["motion_correlation"])


def test_activity_is_not_predicted_where_the_movie_is_not_known():
    checkpoint, clip = world.make_checkpoint(N), world.make_clip(40, neurons=N)
    movie = clip.stimulus.astype(np.float32)
    whole = predict_activity(checkpoint, clip, movie)
    movie[10] = np.nan
    damaged = predict_activity(checkpoint, clip, movie)
    reach = 1 + checkpoint.encoder.past_frames
    assert np.isnan(damaged[10 : 10 + reach]).all()
    np.testing.assert_array_equal(damaged[10 + reach :], whole[10 + reach :])


def make_results(movies, stimuli):
    clip = world.make_clip(N_FRAMES, neurons=N)
    predicted = np.zeros((N_FRAMES, N))
    return [
        ClipResult(replace(clip, stimulus=stimulus), movie, predicted)
        for movie, stimulus in zip(movies, stimuli, strict=True)
    ]


def test_a_clip_is_recognised_among_all_clips():
    rng = np.random.default_rng(0)
    stimuli = rng.uniform(0, 255, (4, N_FRAMES, 36, 64)).astype(np.float32)
    own = identify_clips(make_results(stimuli, stimuli), SCREEN)
    assert [score["identification"] for score in own] == [1] * 4
    other = identify_clips(make_results(stimuli[::-1], stimuli), SCREEN)
    assert max(score["identification"] for score in other) <= 0.5
    assert np.mean([score["pairwise_identification"] for score in other]) < 0.8


def test_short_clips_have_no_segment_to_recognise():
    frames = np.zeros((N_FRAMES, 36, 64), np.float32)
    (score,) = identify_clips(make_results([frames], [None]), SCREEN)
    assert np.isnan(score["identification"])


def test_the_stimulus_itself_has_the_largest_scores():
    clip = world.make_clip(150, neurons=N)
    movie = clip.stimulus.astype(np.float32)
    perfect = ClipResult(clip, movie, clip.target.activity)
    scores = ClipScorer(np.ones(N, bool), SCREEN).score_fully(
        perfect, clip.target.activity
    )
    for name in (
        "visual_field_r",
        "video_r",
        "visual_field_frame_r",
        "structural_similarity",
        "gabor_correlation",
        "high_spatial_correlation",
        "low_temporal_correlation",
        "motion_correlation",
        "response_correlation",
    ):
        assert scores[name] == pytest.approx(1, abs=1e-6), name
