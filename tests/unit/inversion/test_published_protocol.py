"""The published protocol finds what was shown, and can be stopped at any time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rtrecon.core.errors import UserError
from rtrecon.inversion.offline.pixel_rates import CompactRates
from rtrecon.inversion.offline.published_protocol import (
    Published,
    reconstruct_published,
)
from rtrecon.inversion.offline.published_settings import PublishedSettings
from tests.support import inversion_world as world

CLIP = world.clip()
SMOOTHING = 2.0  # best for movies so slow
FEW = PublishedSettings(steps=12, stride_frames=32)


@pytest.fixture(scope="module")
def encoder():
    return CompactRates(world.checkpoint())


@pytest.fixture(scope="module")
def movies(encoder):
    """By stride of the windows: the published one, and a whole window."""
    settings = PublishedSettings(steps=60)
    return {
        stride: reconstruct_published(
            [encoder], CLIP.target, replace(settings, stride_frames=stride)
        )
        for stride in (8, 32)
    }


@pytest.mark.parametrize("stride", [8, 32])
def test_the_movie_is_found(movies, stride):
    assert world.pixel_r(movies[stride].movie(SMOOTHING), CLIP.shown) > 0.2


def test_neurons_exchanged_find_nothing(encoder):
    null = world.exchanged(CLIP.target)
    found = reconstruct_published(
        [encoder], null, PublishedSettings(steps=60, stride_frames=32)
    )
    assert abs(world.pixel_r(found.movie(SMOOTHING), CLIP.shown)) < 0.05


def test_windows_need_not_overlap(movies):
    """A quarter of the passes; the movie is the same but for its last details."""
    every, none = movies[8], movies[32]
    assert every.passes == 60 * 9
    assert none.passes == 60 * 3
    a, b = (each.movie(SMOOTHING) for each in (every, none))
    assert world.pixel_r(a, b) > 0.9
    found = [world.pixel_r(each, CLIP.shown) for each in (a, b)]
    assert found[1] == pytest.approx(found[0], abs=0.03)


def test_movies_of_several_encoders_are_averaged_then_smoothed(encoder):
    pair = encoder, CompactRates(world.checkpoint(seed=5))
    both = reconstruct_published(pair, CLIP.target, FEW)
    alone = [reconstruct_published([each], CLIP.target, FEW) for each in pair]
    np.testing.assert_array_equal(both.movies, [each.movies[0] for each in alone])
    assert both.passes == sum(each.passes for each in alone)
    mean = both.movies.mean(0)
    np.testing.assert_array_equal(both.movie(smoothing=0), mean)
    np.testing.assert_array_equal(both.movie(), gaussian_filter(mean, 0.5))


def test_or_they_share_one_movie(encoder):
    pair = encoder, CompactRates(world.checkpoint(seed=5))
    shared = replace(FEW, ensemble_gradients=True)
    assert len(reconstruct_published(pair, CLIP.target, shared).movies) == 1


def test_it_says_how_far_it_is(encoder):
    told = []
    reconstruct_published(
        [encoder] * 2, CLIP.target, FEW, report=lambda *report: told.append(report)
    )
    assert told[0] == ("movie 1 of 2", 1 / 12, "step 1, 64 windows at a time")
    assert told[-1] == ("movie 2 of 2", 1.0, "step 12, 64 windows at a time")


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("stopped_at", [("movie 1 of 2", 55), ("movie 2 of 2", 51)])
def test_after_an_interruption_the_same_movie_to_the_bit(encoder, tmp_path, stopped_at):
    settings, pair = replace(FEW, steps=56), [encoder] * 2
    target, told = world.clip(24).target, []  # one window

    def interrupt(stage, share, word):
        if (stage, round(share * settings.steps)) == stopped_at:
            raise Interrupted

    state = tmp_path / "movie"
    with pytest.raises(Interrupted):
        reconstruct_published(pair, target, settings, state=state, report=interrupt)
    again = reconstruct_published(
        pair, target, settings, state=state, report=lambda *report: told.append(report)
    )
    assert told[0][0] == stopped_at[0]
    assert told[0][1] * settings.steps == 51  # fifty were kept
    whole = reconstruct_published(pair, target, settings)
    assert np.array_equal(again.movies, whole.movies)
    assert again.passes == whole.passes
    once_more = reconstruct_published(pair, target, settings, state=state)
    assert np.array_equal(once_more.movies, whole.movies)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "movie.0.safetensors",
        "movie.1.safetensors",
    ]


def test_what_was_begun_for_another_clip_is_refused(encoder, tmp_path):
    state = tmp_path / "movie"
    reconstruct_published([encoder], world.clip(40).target, FEW, state=state)
    with pytest.raises(UserError, match="not the beginning of this reconstruction"):
        reconstruct_published([encoder], world.clip(48).target, FEW, state=state)


def test_no_smoothing_is_the_mean():
    movies = np.random.default_rng(0).random((3, 4, 36, 64)).astype(np.float32)
    np.testing.assert_array_equal(Published(movies, 0).movie(0), movies.mean(0))
