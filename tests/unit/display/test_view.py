"""The user's choices and their limits."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.playback import Playback, Span
from rtrecon.display.view import CONTRAST_GAINS, View
from rtrecon.protocol import messages

SPAN = Span(oldest=100, final=460, newest=490, hop=5, n_bytes=0)

# changes of the lag in hops, one after the other -> frames behind the newest
LAGS = {
    "final frames at first": ([], None),
    "one hop less": ([-1], 25),
    "the newest": ([-1] * 6, 0),
    "not newer than the newest": ([-1] * 20, 0),
    "back to final": ([-1, -1, 1, 1], None),
    "not older than final": ([1, 1], None),
}


@pytest.mark.parametrize(("changes", "lag_frames"), LAGS.values(), ids=LAGS)
def test_the_lag_ranges_from_the_newest_to_the_final_frames(changes, lag_frames):
    view = View()
    for n_hops in changes:
        view.change_lag(SPAN, n_hops)
    assert view.lag_frames == lag_frames


def test_the_newest_frames_can_be_switched_on_and_off():
    view = View()
    view.toggle_newest()
    assert view.lag_frames == 0
    view.toggle_newest()
    assert view.lag_frames is None


@pytest.mark.parametrize(("index", "paused"), [(300, 300), (3, 100), (999, 490)])
def test_the_movie_pauses_only_at_stored_frames(index, paused):
    view = View()
    view.pause_at(SPAN, index)
    assert (view.paused_index, view.shown_index) == (paused, paused)


def test_a_paused_movie_stands_still_and_a_live_one_moves():
    view, playback = View(), Playback()
    frames = np.stack([np.full((4, 4), i, np.uint8) for i in range(10)])
    for newest in (9, 19):
        movie = messages.Movie(
            session="s",
            seq=0,
            t=0.0,
            encoder_frame=newest,
            n_final=10,
            lag_s=0.0,
            shape=frames.shape,
            n_steps=1,
            t_frame=0.0,
        )
        playback.add_movie(movie, frames, now_s=newest / 30)
    live = [view.select_moment(playback, 0.7 + s).index for s in (0, 0.1, 0.2)]
    assert live == sorted(set(live))
    assert view.shown_index == live[-1]
    view.pause_at(playback.span, 12)
    assert {view.select_moment(playback, 1 + s).index for s in (0, 5)} == {12}
    view.resume_live()
    assert view.select_moment(playback, 9.0).index == 19


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_contrast_has_limits(direction):
    view = View()
    assert view.contrast_gain == 1.0
    for _ in range(20):
        view.change_contrast(direction)
    assert view.contrast_gain == CONTRAST_GAINS[0 if direction < 0 else -1]
