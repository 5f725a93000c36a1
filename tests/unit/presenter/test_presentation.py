"""Which picture is on the screen at which refresh, without a screen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rtrecon.presenter.clips import GRAY_NAME, ScreenClip, make_gray_clip
from rtrecon.presenter.playlist import Playlist, PlayOrder
from rtrecon.presenter.presentation import Presentation

GRAY_PICTURES = 6


def make_clip(name: str, n_pictures: int) -> ScreenClip:
    pictures = np.zeros((n_pictures, 36, 64), np.uint8)
    return ScreenClip(name, pictures, pictures)


def make_presentation(*lengths: int) -> Presentation:
    clips = {f"clip{k}": make_clip(f"clip{k}", n) for k, n in enumerate(lengths)}
    playlist = Playlist(list(clips), PlayOrder())
    return Presentation(clips, playlist, make_gray_clip(GRAY_PICTURES / 30))


def show_all(
    presentation: Presentation, refresh_hz: float, dropped: tuple[int, ...] = ()
) -> list[tuple[float, str, int, bool]]:
    """Return (time, clip, index, patch) of each new picture. dropped: refreshes."""
    rng = np.random.default_rng(0)
    shown, refresh = [], 0
    while True:
        refresh += 1
        while refresh in dropped:
            refresh += 1
        chosen = presentation.choose_picture(refresh / refresh_hz)
        if chosen is None:
            return shown
        flip_s = refresh / refresh_hz + rng.normal(0, 3e-4)
        if presentation.record_flip(chosen, flip_s):
            shown.append(
                (flip_s, chosen.clip.name, chosen.index, chosen.is_patch_bright)
            )


@pytest.mark.parametrize("refresh_hz", [30.0, 59.94, 60.0, 75.0, 120.0, 144.0])
def test_every_picture_is_shown_once_in_order_at_any_refresh(refresh_hz):
    shown = show_all(make_presentation(30, 20), refresh_hz)
    gray = [(GRAY_NAME, k) for k in range(GRAY_PICTURES)]
    first = [("clip0", k) for k in range(30)]
    second = [("clip1", k) for k in range(20)]
    pictures = [(name, index) for _, name, index, _ in shown]
    assert pictures == [*gray, *first, *gray, *second, *gray]
    times = np.array([time_s for time_s, *_ in shown])
    assert np.abs(np.diff(times) - 1 / 30).max() < 1 / refresh_hz


def test_the_patch_flips_with_every_picture():
    patches = [patch for *_, patch in show_all(make_presentation(30, 20), 60.0)]
    assert all(a != b for a, b in itertools.pairwise(patches))


def test_a_dropped_screen_frame_delays_no_later_picture():
    presentation = make_presentation(30)
    dropped = (30, 31, 32, 33)  # two pictures of the clip at 60 Hz
    shown = show_all(presentation, 60.0, dropped)
    assert presentation.n_skipped == 1  # the other one came late
    clip = {index: time_s for time_s, name, index, _ in shown if name == "clip0"}
    assert clip[29] - clip[0] == pytest.approx(29 / 30, abs=2e-3)
    assert presentation.n_clips == 1


def test_the_last_picture_of_a_clip_can_be_skipped_too():
    presentation = make_presentation(3)
    begin = 2 * GRAY_PICTURES + 1
    show_all(presentation, 60.0, tuple(range(begin + 2, begin + 8)))
    assert presentation.n_skipped == 2
