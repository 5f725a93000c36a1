"""Frame counters and clocks that restart, stand still or jump."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.sources.frame_renumbering import (
    FrameRenumbering,
    find_longest_pause,
)
from rtrecon.sources.recording import RecordedFrame
from rtrecon.sources.scanimage_tiff import ScanImageTiff
from rtrecon.testing.scanimage_file import make_pages, write_scanimage

RATE_HZ = 10.0
PIXELS = np.zeros((2, 2), np.int16)


def renumber(stamps, channels=(1,), planes=1):
    """Return what becomes of (number, time) of volumes in one file, and the notice."""
    renumbering = FrameRenumbering(RATE_HZ)
    frames = (
        RecordedFrame(number, t_s, PIXELS, plane, channel)
        for number, t_s in stamps
        for plane in range(planes)
        for channel in channels
    )
    found = list(renumbering.renumber(frames))
    volumes = found[:: planes * len(channels)]
    for k, frame in enumerate(found):
        first = volumes[k // (planes * len(channels))]
        assert (frame.number, frame.t_s) == (first.number, first.t_s)
    return [(f.number, round(f.t_s, 6)) for f in volumes], renumbering.notice


STEADY = [(k + 1, k / 10) for k in range(6)]
# what is wrong -> stamps of six volumes that should have been STEADY, first bad frame
RESTARTS = {
    "a text that was copied to all pages": ([(1, 0.0)] * 6, 1),
    "times that are all zero": ([(k + 1, 0.0) for k in range(6)], 1),
    "a clock that restarts": ([(k + 1, k % 3 / 10) for k in range(6)], 3),
    "a counter that restarts": ([(k % 3 + 1, k / 10) for k in range(6)], 3),
    "both": ([(k % 3 + 1, k % 3 / 10) for k in range(6)], 3),
    "a gap of hours": ([(k + 1, k / 10 + 5000 * (k > 2)) for k in range(6)], 3),
    "a counter that jumps": ([(k + 1 + 10**7 * (k > 2), k / 10) for k in range(6)], 3),
}


@pytest.mark.parametrize("case", RESTARTS)
@pytest.mark.parametrize(("channels", "planes"), [((1,), 1), ((1, 2), 1), ((2,), 3)])
def test_frames_are_counted_on_where_a_counter_or_clock_restarts(
    case, channels, planes
):
    stamps, first_bad = RESTARTS[case]
    found, notice = renumber(stamps, channels, planes)
    assert found == STEADY
    assert f"the first after frame {first_bad};" in notice


@pytest.mark.parametrize(
    "stamps",
    [
        STEADY,
        [(7, 0.25), (8, 0.5), (11, 1.25)],  # dropped frames
        [(1, 0.0), (2, 0.1), (3, 600.0)],  # a pause of a LOOP
        [(1, -0.5), (2, -0.4), (3, 0.0)],
    ],
)
def test_frames_that_increase_are_left_as_they_are(stamps):
    assert renumber(stamps, (1, 2), 2) == (stamps, "")


def test_dropped_frames_leave_their_time_if_the_clock_stands_still():
    found, _ = renumber([(1, 0.0), (2, 0.0), (5, 0.0)])
    assert found == [(1, 0.0), (2, 0.1), (5, 0.4)]


@pytest.mark.parametrize(
    ("rate_hz", "pause_s"), [(30.0, 3600.0), (1 / 1200, 300_000.0), (1 / 86400, 2.16e7)]
)
def test_a_time_lapse_may_pause_for_many_of_its_intervals(rate_hz, pause_s):
    assert find_longest_pause(rate_hz) == pytest.approx(pause_s)
    stamps = [(1, 0.0), (2, 0.99 * pause_s)]
    frames = [RecordedFrame(n, t_s, PIXELS) for n, t_s in stamps]
    found = FrameRenumbering(rate_hz).renumber(iter(frames))
    assert [frame.t_s for frame in found] == [0.0, 0.99 * pause_s]


def test_the_notice_of_a_scanimage_file_names_the_restart(tmp_path):
    stamps = [(k % 3 + 1, k / 30) for k in range(6)]
    path = write_scanimage(tmp_path / "a.tif", make_pages(6), stamps)
    with ScanImageTiff(path) as recording:
        for _ in range(2):  # each pass begins anew
            assert [f.number for f in recording.frames()] == [1, 2, 3, 4, 5, 6]
        assert recording.notice.count("at 1 frame(s), the first after frame 3") == 1
