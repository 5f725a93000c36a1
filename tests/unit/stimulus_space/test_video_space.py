"""Movies of another size or rate: axes, window, hop and lags follow."""

from __future__ import annotations

import pytest

from rtrecon.core.errors import UserError
from rtrecon.stimulus_space.registry import SPACES, find_space
from rtrecon.stimulus_space.video import (
    VIDEO,
    compute_magnification,
    make_video_space,
)


def test_the_usual_movie_is_the_usual_space():
    assert make_video_space((36, 64), 30.0) is VIDEO
    assert compute_magnification((36, 64)) == 1.0
    assert VIDEO.lags_frames == (3, 6, 12, 24)


@pytest.mark.parametrize(
    ("rate_hz", "window", "hop", "lags"),
    [(60.0, 70, 10, (6, 12, 24, 48)), (15.0, 14, 2, (2, 3, 6, 12))],
)
def test_window_hop_and_lags_last_as_long_at_another_rate(rate_hz, window, hop, lags):
    space = make_video_space((54, 96), rate_hz)
    assert (space.window_frames, space.hop_frames) == (window, hop)
    assert space.lags_frames == lags
    assert space.shape == (54, 96)
    assert space.is_picture


def test_lengths_on_the_screen_grow_with_the_size():
    assert compute_magnification((72, 128)) == pytest.approx(2.0)
    assert compute_magnification((18, 32)) == pytest.approx(0.5)


@pytest.mark.parametrize("shape", [(4, 64), (36, 1000)])
def test_a_movie_that_is_too_small_or_too_large_is_refused(shape):
    with pytest.raises(ValueError, match="give 8 to 256 px for each side"):
        make_video_space(shape, 30.0)


def test_the_settings_say_which_space_there_is():
    assert find_space("video", None, 30.0) is VIDEO
    assert find_space("video", (54, 96), 60.0) == make_video_space((54, 96), 60.0)
    assert find_space("touch", None, 100.0) is SPACES["touch"]
    with pytest.raises(UserError, match="is for movies; leave it out"):
        find_space("sound", (54, 96), 100.0)
