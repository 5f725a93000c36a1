"""Bursts of final frames become an even movie, each beside its own stimulus."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon import wire
from rtrecon.display import playback
from rtrecon.display.playback import Playback, faded

HOP, WINDOW, HOP_S = 6, 12, 0.2  # frames new and still changing; s between messages
SHAPE = (36, 64)


def numbered(index: int) -> np.ndarray:
    """A frame that says its own encoder index."""
    return np.full(SHAPE, index % 251, np.uint8)


def hop(newest: int, final: int = HOP, n: int = HOP + WINDOW):
    frames = np.stack([numbered(i) for i in range(newest - n + 1, newest + 1)])
    message = wire.Movie(
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


def seen(index: int) -> wire.Seen:
    return wire.Seen(session="s", seq=0, t=0.0, index=index, clip="c", shape=SHAPE)


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


def test_beside_it_stands_the_stimulus_of_the_same_moment():
    playback = Playback()
    for i in range(80):
        playback.see(seen(i), numbered(i))
    playback.add(*hop(70), now_s=0)
    for provisional in (False, True):
        moment = playback.moment(0.05, provisional)
        np.testing.assert_array_equal(moment.stimulus, numbered(moment.index))


def test_the_newest_frame_can_be_asked_for_and_is_called_provisional():
    playback = Playback()
    playback.add(*hop(70), now_s=0)
    moment = playback.moment(0.05, provisional=True)
    assert (moment.index, moment.final) == (70, False)
    assert moment.age_s == pytest.approx(0.05, abs=1e-6)


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


TRUST = [  # trust of the pixel, its gray, what is shown
    (1.0, 200, 200),
    (0.5, 227, 177),
    (0.0, 10, 127),
    (np.nan, 10, 127),
    (7.0, 30, 30),
]


@pytest.mark.parametrize(("trust", "gray", "shown"), TRUST)
def test_contrast_fades_where_the_data_cannot_tell(trust, gray, shown):
    image = np.array([[gray]], np.uint8)
    assert faded(image, np.array([[trust]], np.float32))[0, 0] == shown


def test_a_trust_map_of_another_shape_changes_nothing():
    image = numbered(9)
    assert faded(image, np.zeros((2, 2), np.float32)) is image
