"""What a person may choose, and how far the choices go."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.playback import Playback, Span
from rtrecon.display.view import GAINS, View
from rtrecon.protocol import messages

SPAN = Span(oldest=100, final=460, newest=490, hop=5, bytes=0)

# hops of more lag, one after the other -> how far behind the newest
LAGS = {
    "final at first": ([], None),
    "a hop less": ([-1], 25),
    "the newest": ([-1] * 6, 0),
    "no newer than that": ([-1] * 20, 0),
    "back to final": ([-1, -1, 1, 1], None),
    "no older than final": ([1, 1], None),
}


@pytest.mark.parametrize(("steps", "behind"), LAGS.values(), ids=LAGS)
def test_lag_goes_from_the_newest_to_the_final_frames(steps, behind):
    view = View()
    for hops in steps:
        view.settle(SPAN, hops)
    assert view.behind == behind


@pytest.mark.parametrize(("asked", "held"), [(300, 300), (3, 100), (999, 490)])
def test_only_what_is_kept_can_be_held(asked, held):
    view = View()
    view.hold(SPAN, asked)
    assert (view.held, view.shown) == (held, held)


def test_a_held_movie_stands_still_and_a_live_one_moves():
    view, playback = View(), Playback()
    frames = np.stack([np.full((4, 4), i, np.uint8) for i in range(10)])
    for newest in (9, 19):
        movie = messages.Movie(
            session="s",
            seq=0,
            t=0.0,
            index=newest,
            final=10,
            lag=0.0,
            shape=frames.shape,
            steps=1,
            t_frame=0.0,
        )
        playback.add(movie, frames, now_s=newest / 30)
    moving = [view.moment(playback, 0.7 + s).index for s in (0, 0.1, 0.2)]
    assert moving == sorted(set(moving))
    assert view.shown == moving[-1]
    view.hold(playback.span, 12)
    assert {view.moment(playback, 1 + s).index for s in (0, 5)} == {12}
    view.go_live()
    assert view.moment(playback, 9.0).index == 19


@pytest.mark.parametrize("direction", [-1, 1])
def test_contrast_has_ends(direction):
    view = View()
    assert view.gain == 1.0
    for _ in range(20):
        view.strengthen(direction)
    assert view.gain == (GAINS[0] if direction < 0 else GAINS[-1])


def test_orders_come_round():
    view = View()
    orders = []
    for _ in range(4):
        orders.append(view.order)
        view.reorder()
    assert orders[0] == orders[3]
    assert len(set(orders)) == 3
