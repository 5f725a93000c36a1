"""A photodiode shows when pictures appear, and which do not."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import ScreenSettings
from rtrecon.imaging.timing.screen_timing import ScreenTiming

SETTINGS = ScreenSettings(photodiode_line=3, refresh_hz=60.0)


def show(
    screen: ScreenTiming, times_s: np.ndarray, lag_s: float, lost: tuple[int, ...] = ()
) -> None:
    """Send pictures and, as they appear, the edges of those that are not lost."""
    jitter = np.random.default_rng(0).uniform(-0.002, 0.002, len(times_s))
    events = [(t, 0, i) for i, t in enumerate(times_s)]
    events += [
        (t + lag_s + jitter[i], 1, i) for i, t in enumerate(times_s) if i not in lost
    ]
    for t, kind, index in sorted(events):
        screen.add_edge(t) if kind else screen.add_picture("clip", index, t)
    screen.add_picture("end", 0, times_s[-1] + 1.0)


@pytest.mark.parametrize("rate_hz", [30.0, 60.0])
@pytest.mark.parametrize("lag_s", [0.0, 0.021, 0.085, 0.2])
def test_the_delay_of_the_screen_is_found_though_it_is_longer_than_a_picture(
    rate_hz, lag_s
):
    screen = ScreenTiming(SETTINGS)
    show(screen, np.arange(300) / rate_hz, lag_s)
    assert screen.lag_s == pytest.approx(lag_s, abs=0.001)
    assert screen.n_lost == 0
    (notice,) = screen.take_notices()
    assert "ms after its sender's time (photodiode, line 3)" in notice


def test_each_picture_has_the_time_of_its_own_edge():
    screen, times_s = ScreenTiming(SETTINGS), np.arange(200) / 30
    show(screen, times_s, 0.05)
    onsets = screen.take_onsets()
    assert [onset.t_sent_s for onset in onsets] == pytest.approx(times_s[1:])
    errors = [onset.t_onset_s - onset.t_sent_s - 0.05 for onset in onsets]
    assert np.abs(errors).max() <= 0.002
    assert screen.lag.percentiles().p50 == pytest.approx(50, abs=2)


def test_pictures_that_the_screen_did_not_show_are_counted():
    screen = ScreenTiming(SETTINGS)
    lost = (40, 41, 90, 91, 200, 201, 350, 351)
    show(screen, np.arange(400) / 30, 0.05, lost)
    assert screen.n_lost == len(lost)
    missing = [o.t_sent_s for o in screen.take_onsets() if o.t_onset_s is None]
    assert missing == pytest.approx([i / 30 for i in lost])
    assert "pictures have no edge of the photodiode" in screen.take_notices()[-1]


def test_a_picture_that_is_sent_again_has_no_edge_of_its_own():
    screen = ScreenTiming(SETTINGS)
    for i in range(200):  # a program that sends each of its flips
        t = i / 60
        screen.add_picture("clip", i // 2, t)
        if i % 2 == 0:
            screen.add_edge(t + 0.01)
    assert screen.n_pictures > 80
    assert screen.n_lost == 0


def test_a_first_edge_that_is_missing_is_noticed_at_the_next_pause():
    screen = ScreenTiming(SETTINGS)
    show(screen, np.arange(100) / 30, 0.02, lost=(0,))
    assert screen.lag_s == pytest.approx(0.02 + 1 / 30, abs=0.003)
    show(screen, 10 + np.arange(100) / 30, 0.02)
    assert screen.lag_s == pytest.approx(0.02, abs=0.002)


def test_a_photodiode_beside_its_patch_is_reported_once():
    screen = ScreenTiming(SETTINGS)
    for i in range(600):
        screen.add_picture("clip", i, i / 30)
    (notice,) = screen.take_notices()
    assert "no edge of the photodiode (line 3)" in notice
    assert screen.lag_s is None


def test_a_delay_that_changes_is_measured_again():
    screen = ScreenTiming(SETTINGS)
    show(screen, np.arange(300) / 30, 0.02)
    for start_s in (20, 25, 30):
        show(screen, start_s + np.arange(100) / 30, 0.12)
    assert screen.lag_s == pytest.approx(0.12, abs=0.002)


def test_memory_is_bounded_without_pictures():
    screen = ScreenTiming(SETTINGS)
    for i in range(2000):
        screen.add_edge(i / 60)
    assert screen.n_pictures == 0
    assert not screen.take_onsets()
