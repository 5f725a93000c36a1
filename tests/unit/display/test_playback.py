"""Bursts of final frames become an even movie, each beside its own stimulus."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rtrecon.display import playback
from rtrecon.display.playback import Playback
from rtrecon.protocol import messages

HOP, WINDOW, HOP_S = 6, 12, 0.2  # frames new and still changing; s between messages
SHAPE = (36, 64)


def numbered(index: int) -> np.ndarray:
    """A frame that says its own encoder index."""
    return np.full(SHAPE, index % 251, np.uint8)


def hop(newest: int, final: int = HOP, n: int = HOP + WINDOW):
    frames = np.stack([numbered(i) for i in range(newest - n + 1, newest + 1)])
    message = messages.Movie(
        session="s",
        seq=0,
        t=0.0,
        index=newest,
        final=final,
        lag=WINDOW / 30,
        shape=frames.shape,
        steps=3,
        t_frame=0.0,
    )
    return message, frames


def test_what_activity_does_not_tell_is_known_per_frame():
    playback = Playback()
    message, frames = hop(60, n=4)
    told = [1.0, 0.25, 1.0, 0.5]
    playback.add(
        msgspec.structs.replace(message, information_fraction=told), frames, now_s=0
    )
    assert [playback.at(i, 0.0).told for i in range(57, 61)] == told
    message, frames = hop(61, n=4)  # it is told later, and replaces what was
    playback.add(
        msgspec.structs.replace(message, information_fraction=None), frames, now_s=0.1
    )
    later = msgspec.structs.replace(
        message, index=62, information_fraction=[1.0, 1.0, 0.75, 0.5]
    )
    playback.add(later, frames, now_s=0.2)
    assert [playback.at(i, 0.0).told for i in (58, 60, 61, 62)] == [0.25, 1, 0.75, 0.5]


def seen(index: int) -> messages.Seen:
    return messages.Seen(session="s", seq=0, t=0.0, index=index, clip="c", shape=SHAPE)


def played(playback: Playback, n_hops: int, first: int = 60) -> list[int]:
    """Feed hops at their pace, look 30 times a second, return the indices shown."""
    shown = []
    for k in range(n_hops):
        playback.add(*hop(first + k * HOP), now_s=100 + k * HOP_S)
        for tick in range(HOP):
            moment = playback.moment(100 + k * HOP_S + (tick + 0.5) / 30)
            shown.append(moment.index)
    return shown


def test_final_frames_are_played_one_after_the_other():
    shown = played(Playback(), n_hops=8)
    steady = np.diff(shown[2 * HOP :])
    assert set(steady) <= {0, 1, 2}
    assert steady.mean() == pytest.approx(1.0, abs=0.1)


def test_a_frame_is_shown_only_once_it_is_final_and_is_the_right_one():
    playback = Playback()
    for k in range(4):
        playback.add(*hop(60 + k * HOP), now_s=k * HOP_S)
        moment = playback.moment(k * HOP_S + 0.1)
        assert moment.final
        assert moment.index <= 60 + k * HOP - WINDOW
        np.testing.assert_array_equal(moment.reconstruction, numbered(moment.index))


@pytest.mark.parametrize("behind", [None, 0, HOP])
def test_beside_it_stands_the_stimulus_of_the_same_moment(behind):
    playback = Playback()
    for i in range(80):
        playback.see(seen(i), numbered(i))
    playback.add(*hop(70), now_s=0)
    moment = playback.moment(0.05, behind)
    np.testing.assert_array_equal(moment.stimulus, numbered(moment.index))


# how far behind the newest frame -> which is shown of those up to 70, is it final
LAGS = {
    "none": (0, 70, False),
    "a hop": (HOP, 64, False),
    "until final": (None, 58, True),
    "longer than that": (99, 58, True),
}


@pytest.mark.parametrize(("behind", "index", "final"), LAGS.values(), ids=LAGS)
def test_the_lag_can_be_chosen(behind, index, final):
    playback = Playback()
    playback.add(*hop(70), now_s=0)
    moment = playback.moment(0.05, behind)
    assert (moment.index, moment.final) == (index, final)
    assert moment.age_s == pytest.approx((70 - index) / 30 + 0.05)


def test_what_may_still_change_is_replaced_by_what_comes_of_it():
    playback = Playback()
    message, frames = hop(70)
    playback.add(message, frames // 2, now_s=0)
    playback.add(*hop(76), now_s=0.2)
    refined = playback.at(65, now_s=0.2)
    np.testing.assert_array_equal(refined.reconstruction, numbered(65))


def test_the_past_can_be_looked_at_and_taken_out():
    playback = Playback()
    for index in range(40, 140):
        playback.see(seen(index), numbered(index))
    played(playback, n_hops=9)
    span = playback.span
    assert (span.oldest, span.final, span.newest, span.hop) == (43, 96, 108, HOP)
    assert playback.at(80, 0.0).final
    assert playback.at(20, 0.0) is None
    pairs = list(playback.stretch(50, 59))
    assert len(pairs) == 10
    for index, (made, stimulus) in enumerate(pairs, 50):
        np.testing.assert_array_equal(made, numbered(index))
        np.testing.assert_array_equal(stimulus, numbered(index))


def test_before_anything_is_final_the_newest_is_shown():
    playback = Playback()
    assert playback.moment(0.0) is None
    playback.add(*hop(10, final=0, n=8), now_s=0)
    assert not playback.moment(0.01).final


def test_the_age_grows_while_no_movie_comes():
    playback = Playback()
    playback.add(*hop(70), now_s=0)
    ages = [playback.moment(now_s).age_s for now_s in (1.0, 6.0)]
    assert np.diff(ages) == pytest.approx([5.0])
    assert ages[0] == pytest.approx(WINDOW / 30 + 1.0)


@pytest.mark.parametrize("newest", [20, 5000], ids=["restarted", "after a stall"])
def test_a_jump_in_time_is_followed_at_once(newest: int):
    playback = Playback()
    played(playback, n_hops=3)
    playback.add(*hop(newest), now_s=101)
    assert playback.moment(101.01).index == newest - WINDOW


def test_one_missing_stimulus_frame_is_bridged_a_missing_second_is_not():
    playback = Playback()
    playback.see(seen(56), numbered(56))
    playback.add(*hop(58 + WINDOW), now_s=0)
    np.testing.assert_array_equal(playback.moment(0.0).stimulus, numbered(56))
    playback.add(*hop(88 + WINDOW), now_s=1)
    assert playback.moment(2.0).stimulus is None


def test_memory_is_bounded_in_frames_and_in_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(playback, "MOST_FRAMES", 10)
    ring = playback._Ring()
    for i in range(50):
        ring.put(i, numbered(i))
    assert [ring.near(i) is None for i in (38, 40, 49)] == [True, False, False]
    monkeypatch.setattr(playback, "MOST_BYTES", 3 * numbered(0).nbytes)
    ring.put(50, numbered(50))
    assert [ring.near(i) is None for i in (45, 48, 50)] == [True, False, False]
