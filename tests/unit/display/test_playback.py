"""The playback turns bursts of frames into an even movie beside its stimulus."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rtrecon.display.playback import Playback
from rtrecon.protocol import messages

HOP, WINDOW, HOP_S = 6, 12, 0.2  # new frames, provisional frames, s between messages
SHAPE = (36, 64)


def numbered(index: int) -> np.ndarray:
    """A frame whose gray level is its own encoder index."""
    return np.full(SHAPE, index % 251, np.uint8)


def make_hop(newest: int, n_final: int = HOP, n: int = HOP + WINDOW):
    """A movie message and its frames."""
    frames = np.stack([numbered(i) for i in range(newest - n + 1, newest + 1)])
    message = messages.Movie(
        session="s",
        seq=0,
        t=0.0,
        encoder_frame=newest,
        n_final=n_final,
        lag_s=WINDOW / 30,
        shape=frames.shape,
        n_steps=3,
        t_frame=0.0,
    )
    return message, frames


def stimulus(index: int) -> messages.AlignedStimulus:
    return messages.AlignedStimulus(
        session="s", seq=0, t=0.0, encoder_frame=index, clip="c", shape=SHAPE
    )


def play(playback: Playback, n_hops: int, first: int = 60) -> list[int]:
    """Feed hops at their pace, look 30 times a second, return the indices shown."""
    shown = []
    for k in range(n_hops):
        playback.add_movie(*make_hop(first + k * HOP), now_s=100 + k * HOP_S)
        for look in range(HOP):
            moment = playback.moment_now(100 + k * HOP_S + (look + 0.5) / 30)
            shown.append(moment.index)
    return shown


def test_the_information_fraction_is_stored_per_frame_and_updated():
    playback = Playback()
    message, frames = make_hop(60, n=4)
    fractions = [1.0, 0.25, 1.0, 0.5]
    first = msgspec.structs.replace(message, information_fraction=fractions)
    playback.add_movie(first, frames, now_s=0)
    stored = [playback.moment_at(i, 0.0).information_fraction for i in range(57, 61)]
    assert stored == fractions
    message, frames = make_hop(61, n=4)  # without fractions
    playback.add_movie(message, frames, now_s=0.1)
    later = msgspec.structs.replace(
        message, encoder_frame=62, information_fraction=[1.0, 1.0, 0.75, 0.5]
    )
    playback.add_movie(later, frames, now_s=0.2)
    updated = [
        playback.moment_at(i, 0.0).information_fraction for i in (58, 60, 61, 62)
    ]
    assert updated == [0.25, 1, 0.75, 0.5]


def test_final_frames_are_played_evenly():
    shown = play(Playback(), n_hops=8)
    steps = np.diff(shown[2 * HOP :])
    assert set(steps) <= {0, 1, 2}
    assert steps.mean() == pytest.approx(1.0, abs=0.1)


def test_a_frame_is_shown_only_once_it_is_final_and_has_its_own_pixels():
    playback = Playback()
    for k in range(4):
        playback.add_movie(*make_hop(60 + k * HOP), now_s=k * HOP_S)
        moment = playback.moment_now(k * HOP_S + 0.1)
        assert moment.is_final
        assert moment.index <= 60 + k * HOP - WINDOW
        np.testing.assert_array_equal(moment.reconstruction, numbered(moment.index))


@pytest.mark.parametrize("lag_frames", [None, 0, HOP])
def test_the_stimulus_of_the_same_moment_stands_beside_the_frame(lag_frames):
    playback = Playback()
    for i in range(80):
        playback.add_stimulus(stimulus(i), numbered(i))
    playback.add_movie(*make_hop(70), now_s=0)
    moment = playback.moment_now(0.05, lag_frames)
    np.testing.assert_array_equal(moment.stimulus, numbered(moment.index))


# lag behind the newest frame -> the frame shown of those up to 70, and is it final
LAGS = {
    "none": (0, 70, False),
    "one hop": (HOP, 64, False),
    "until final": (None, 58, True),
    "longer than that": (99, 58, True),
}


@pytest.mark.parametrize(("lag_frames", "index", "is_final"), LAGS.values(), ids=LAGS)
def test_the_lag_can_be_chosen(lag_frames, index, is_final):
    playback = Playback()
    playback.add_movie(*make_hop(70), now_s=0)
    moment = playback.moment_now(0.05, lag_frames)
    assert (moment.index, moment.is_final) == (index, is_final)
    assert moment.age_s == pytest.approx((70 - index) / 30 + 0.05)


def test_a_provisional_frame_is_replaced_by_its_newer_version():
    playback = Playback()
    message, frames = make_hop(70)
    playback.add_movie(message, frames // 2, now_s=0)
    playback.add_movie(*make_hop(76), now_s=0.2)
    refined = playback.moment_at(65, now_s=0.2)
    np.testing.assert_array_equal(refined.reconstruction, numbered(65))


def test_earlier_frames_can_be_shown_and_exported():
    playback = Playback()
    for index in range(40, 140):
        playback.add_stimulus(stimulus(index), numbered(index))
    play(playback, n_hops=9)
    span = playback.span
    assert (span.oldest, span.final, span.newest, span.hop) == (43, 96, 108, HOP)
    assert playback.moment_at(80, 0.0).is_final
    assert playback.moment_at(20, 0.0) is None
    pairs = list(playback.frame_pairs(50, 59))
    assert len(pairs) == 10
    for index, (reconstruction, shown) in enumerate(pairs, 50):
        np.testing.assert_array_equal(reconstruction, numbered(index))
        np.testing.assert_array_equal(shown, numbered(index))


def test_before_any_frame_is_final_a_provisional_one_is_shown():
    playback = Playback()
    assert playback.moment_now(0.0) is None
    playback.add_movie(*make_hop(10, n_final=0, n=8), now_s=0)
    assert not playback.moment_now(0.01).is_final


def test_the_age_grows_while_no_movie_arrives():
    playback = Playback()
    playback.add_movie(*make_hop(70), now_s=0)
    ages = [playback.moment_now(now_s).age_s for now_s in (1.0, 6.0)]
    assert np.diff(ages) == pytest.approx([5.0])
    assert ages[0] == pytest.approx(WINDOW / 30 + 1.0)


@pytest.mark.parametrize("newest", [20, 5000], ids=["restarted", "after a stall"])
def test_the_playback_follows_a_jump_in_time_at_once(newest: int):
    playback = Playback()
    play(playback, n_hops=3)
    playback.add_movie(*make_hop(newest), now_s=101)
    assert playback.moment_now(101.01).index == newest - WINDOW


def test_one_missing_stimulus_frame_is_bridged_but_not_a_missing_second():
    playback = Playback()
    playback.add_stimulus(stimulus(56), numbered(56))
    playback.add_movie(*make_hop(58 + WINDOW), now_s=0)
    np.testing.assert_array_equal(playback.moment_now(0.0).stimulus, numbered(56))
    playback.add_movie(*make_hop(88 + WINDOW), now_s=1)
    assert playback.moment_now(2.0).stimulus is None
