"""An encoder of another size or rate is trained on recordings that are fine enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.cli.training import parse_size
from rtrecon.core.errors import UserError
from rtrecon.encoder.card import RATE_UNITS
from rtrecon.session.about import About
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.video import VIDEO, make_video_space
from rtrecon.training.movie_format import (
    AS_RECORDED,
    MovieFormat,
    MovieRequest,
    choose_movie_format,
)
from rtrecon.training.training_data import Segment
from tests.support.session_tables import make_about

LARGE = make_video_space((54, 96), 60.0)
PATH = Path("session")


def describe(space=LARGE, rate_hz=60.0, **changes) -> About:
    return make_about(stimulus_space=space, encoder_rate_hz=rate_hz, **changes)


def convert(segment: Segment, movie_format: MovieFormat) -> Segment:
    [converted] = movie_format.convert(segment)
    return converted


def make_segment(n_frames: int, shape=(4, 6)) -> Segment:
    rng = np.random.default_rng(0)
    movie = rng.integers(0, 256, (n_frames, *shape)).astype(np.uint8)
    return Segment(movie, rng.random((n_frames, 4)), rng.random((n_frames, 3)))


def test_a_session_is_trained_on_as_it_was_recorded():
    found = choose_movie_format(PATH, describe(), AS_RECORDED)
    assert (found.space, found.n_merged) == (LARGE, 1)
    usual = choose_movie_format(PATH, describe(VIDEO, 30.0), AS_RECORDED)
    assert usual.space is VIDEO
    segment = make_segment(5, VIDEO.shape)
    np.testing.assert_array_equal(convert(segment, usual).movie, segment.movie)


def test_a_fine_recording_becomes_the_usual_movie():
    found = choose_movie_format(PATH, describe(), MovieRequest((36, 64), 30.0))
    assert (found.space, found.n_merged) == (VIDEO, 2)


def test_frames_are_merged_pictures_averaged_and_activity_summed():
    space = make_video_space((8, 8), 20.0)
    segment = make_segment(7, space.shape)
    merged = convert(segment, MovieFormat(space, 3))
    expected = segment.movie[:6].reshape(2, 3, 8, 8).mean(1)
    np.testing.assert_allclose(merged.movie, expected, rtol=1e-6)
    activity = segment.activity[:6].reshape(2, 3, 3)
    np.testing.assert_allclose(merged.activity, activity.sum(1), rtol=1e-6)
    rates = convert(segment, MovieFormat(space, 3, sums_activity=False))
    np.testing.assert_allclose(rates.activity, activity.mean(1), rtol=1e-6)


def test_pictures_become_smaller_by_area():
    segment = make_segment(2, (16, 32))
    small = convert(segment, MovieFormat(make_video_space((8, 16), 30.0)))
    blocks = segment.movie.reshape(2, 8, 2, 16, 2).mean((2, 4))
    assert np.abs(small.movie - blocks).max() <= 0.5 + 1e-3


def test_counts_and_activity_of_images_are_summed_and_rates_averaged():
    units = {RATE_UNITS: True, None: True, "spikes/s": False}
    for unit, is_amount in units.items():
        about = describe(rate_unit=unit)
        assert choose_movie_format(PATH, about, AS_RECORDED).sums_activity == is_amount


# recorded space and rate, what is asked for -> part of the error
IMPOSSIBLE = {
    "finer": (
        (VIDEO, 30.0),
        MovieRequest((54, 96)),
        r"36 x 64 px, which is coarser than --size 54x96; .*stimulus_size = \[54, 96\]",
    ),
    "faster": (
        (VIDEO, 30.0),
        MovieRequest(rate_hz=60.0),
        "30 encoder frames per second, which cannot become --rate 60; give 30, 15, 10",
    ),
    "no whole fraction": (
        (LARGE, 60.0),
        MovieRequest(rate_hz=45.0),
        "cannot become --rate 45; give 60, 30, 20 or another whole fraction",
    ),
    "sound": ((SOUND, 100.0), MovieRequest((36, 64)), "sound .* for movies: leave"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_movie_that_the_session_does_not_have_is_refused(case):
    recorded, request, words = IMPOSSIBLE[case]
    with pytest.raises(UserError, match=words):
        choose_movie_format(PATH, describe(*recorded), request)


def test_a_size_is_read_as_height_and_width():
    assert parse_size("54x96") == (54, 96)
    assert parse_size("18 X 32") == (18, 32)
    assert parse_size(None) is None


@pytest.mark.parametrize("text", ["54", "54x", "axb", "54x96x2", "-5x9", "4x64"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(UserError, match=r"--size"):
        parse_size(text)
