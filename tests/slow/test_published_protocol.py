"""The published protocol finds the stimulus, and resumes after an interruption."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rtrecon.core.errors import UserError
from rtrecon.inversion.offline import published_protocol
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.inversion.offline.published_protocol import (
    PublishedResult,
    reconstruct_published,
)
from rtrecon.inversion.offline.published_settings import PublishedSettings
from tests.support import inversion_world as world

CLIP = world.make_clip()
SMOOTHING = 2.0  # best for movies so slow
FEW = PublishedSettings(steps=12, stride_frames=32)


@pytest.fixture(scope="module")
def encoder():
    return CompactPixelEncoder(world.make_checkpoint())


@pytest.fixture(scope="module")
def movies(encoder):
    """Return movies by stride: the published one, and a whole window."""
    settings = PublishedSettings(steps=60)
    return {
        stride: reconstruct_published(
            [encoder], CLIP.target, replace(settings, stride_frames=stride)
        )
        for stride in (8, 32)
    }


@pytest.mark.parametrize("stride", [8, 32])
def test_the_movie_is_found(movies, stride):
    assert (
        world.compute_pixel_r(movies[stride].mean_movie(SMOOTHING), CLIP.stimulus) > 0.2
    )


def test_exchanged_neurons_find_nothing(encoder):
    null = world.exchange_activity(CLIP.target)
    found = reconstruct_published(
        [encoder], null, PublishedSettings(steps=60, stride_frames=32)
    )
    assert abs(world.compute_pixel_r(found.mean_movie(SMOOTHING), CLIP.stimulus)) < 0.05


def test_adjacent_windows_give_almost_the_same_movie(movies):
    """They need a quarter of the passes."""
    every, none = movies[8], movies[32]
    assert every.n_passes == 60 * 9
    assert none.n_passes == 60 * 3
    a, b = (each.mean_movie(SMOOTHING) for each in (every, none))
    assert world.compute_pixel_r(a, b) > 0.9
    found = [world.compute_pixel_r(each, CLIP.stimulus) for each in (a, b)]
    assert found[1] == pytest.approx(found[0], abs=0.03)


def test_movies_of_several_encoders_are_averaged_then_smoothed(encoder):
    pair = encoder, CompactPixelEncoder(world.make_checkpoint(seed=5))
    both = reconstruct_published(pair, CLIP.target, FEW)
    alone = [reconstruct_published([each], CLIP.target, FEW) for each in pair]
    np.testing.assert_array_equal(both.movies, [each.movies[0] for each in alone])
    assert both.n_passes == sum(each.n_passes for each in alone)
    mean = both.movies.mean(0)
    np.testing.assert_array_equal(both.mean_movie(smoothing=0), mean)
    np.testing.assert_array_equal(both.mean_movie(), gaussian_filter(mean, 0.5))


def test_encoders_can_share_one_movie(encoder):
    pair = encoder, CompactPixelEncoder(world.make_checkpoint(seed=5))
    shared = replace(FEW, ensemble_gradients=True)
    assert len(reconstruct_published(pair, CLIP.target, shared).movies) == 1


def test_progress_is_reported(encoder):
    reports = []
    reconstruct_published(
        [encoder] * 2,
        CLIP.target,
        FEW,
        on_progress=lambda *report: reports.append(report),
    )
    assert reports[0] == ("movie 1 of 2", 1 / 12, "step 1, 64 windows at a time")
    assert reports[-1] == ("movie 2 of 2", 1.0, "step 12, 64 windows at a time")


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("stopped_at", [("movie 1 of 2", 9), ("movie 2 of 2", 6)])
def test_a_resumed_run_gives_the_same_movie_bit_for_bit(
    encoder, tmp_path, stopped_at, monkeypatch
):
    monkeypatch.setattr(published_protocol, "_SAVE_EVERY_STEPS", 5)
    settings, pair = replace(FEW, steps=11), [encoder] * 2
    target, reports = world.make_clip(24).target, []  # one window

    def interrupt(stage, share, word):
        if (stage, round(share * settings.steps)) == stopped_at:
            raise Interrupted

    state = tmp_path / "movie"
    with pytest.raises(Interrupted):
        reconstruct_published(
            pair, target, settings, state=state, on_progress=interrupt
        )
    again = reconstruct_published(
        pair,
        target,
        settings,
        state=state,
        on_progress=lambda *report: reports.append(report),
    )
    assert reports[0][0] == stopped_at[0]
    assert round(reports[0][1] * settings.steps) == 6  # five were stored
    whole = reconstruct_published(pair, target, settings)
    assert np.array_equal(again.movies, whole.movies)
    assert again.n_passes == whole.n_passes
    once_more = reconstruct_published(pair, target, settings, state=state)
    assert np.array_equal(once_more.movies, whole.movies)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "movie.0.safetensors",
        "movie.1.safetensors",
    ]


def test_the_state_of_another_clip_is_refused(encoder, tmp_path):
    state = tmp_path / "movie"
    reconstruct_published([encoder], world.make_clip(40).target, FEW, state=state)
    with pytest.raises(UserError, match="not the state of this reconstruction"):
        reconstruct_published([encoder], world.make_clip(48).target, FEW, state=state)


def test_without_smoothing_the_movie_is_the_mean():
    movies = np.random.default_rng(0).random((3, 4, 36, 64)).astype(np.float32)
    np.testing.assert_array_equal(
        PublishedResult(movies, 0).mean_movie(0), movies.mean(0)
    )
