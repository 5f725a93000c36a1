"""Folders into which a time-lapse writes one file per moment, while they are read."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tifffile

from rtrecon.sources import RecordingError, RecordingHints, growing_folder
from rtrecon.sources.growing_folder import FollowedFolder, open_followed_folder
from rtrecon.sources.growing_tiff import FollowedTiff

SHAPE = (16, 20)
HINTS = RecordingHints(rate_hz=100.0, um_per_px=0.65)
TIMEOUT_S = 0.3


@pytest.fixture(autouse=True)
def _shorter_waits(monkeypatch):
    monkeypatch.setattr(growing_folder, "POLL_S", 0.005)
    monkeypatch.setattr(growing_folder, "SETTLE_S", 0.1)


def make_bytes(path, value: int, **kind) -> bytes:
    image = np.full(SHAPE, value, np.uint16)
    kind = {"photometric": "minisblack", "metadata": None} | kind
    tifffile.imwrite(path, image, **kind)
    return path.read_bytes()


def write(folder, name: str, value: int, **kind) -> None:
    make_bytes(folder / name, value, **kind)


def follow(folder, hints=HINTS):
    """Return the frames as (number, time, channel, value), and the recording."""
    with FollowedFolder(folder, hints, TIMEOUT_S) as recording:
        frames = list(recording.frames())
    found = [(f.number, f.t_s, f.channel, int(f.pixels[0, 0])) for f in frames]
    return found, recording


def test_files_that_exist_and_files_that_come_later_are_read_in_order(tmp_path):
    for t in (9, 10):
        write(tmp_path, f"a_w1_t{t}.TIF", t)
    with FollowedFolder(tmp_path, HINTS, TIMEOUT_S) as recording:
        frames = recording.frames()
        assert [next(frames).number, next(frames).number] == [9, 10]
        for t in (12, 11):
            write(tmp_path, f"a_w1_t{t}.TIF", t)
        found = [(f.number, f.t_s, int(f.pixels[0, 0])) for f in frames]
    assert found == [(11, pytest.approx(0.02), 11), (12, pytest.approx(0.03), 12)]
    assert (recording.shape, recording.dtype, recording.um_per_px) == (
        SHAPE,
        np.uint16,
        0.65,
    )


@pytest.mark.parametrize("kind", [{}, {"compression": "zlib"}])
def test_a_file_that_is_half_written_is_waited_for(tmp_path, kind):
    rng = np.random.default_rng(0)
    write(tmp_path, "a_t1.tif", 1)
    path, whole = tmp_path / "a_t2.tif", tmp_path / "whole.bin"
    image = rng.integers(0, 60000, SHAPE).astype(np.uint16)
    tifffile.imwrite(whole, image, photometric="minisblack", metadata=None, **kind)
    content = whole.read_bytes()
    with FollowedFolder(tmp_path, HINTS, 2.0) as recording:
        frames = recording.frames()
        assert next(frames).number == 1
        sizes = [0, 4, 8, 60, len(content) // 2, len(content) - 1, len(content)]
        found = []

        def write_slowly() -> None:
            for size in sizes:
                path.write_bytes(content[:size])
                threading.Event().wait(0.03)

        writer = threading.Thread(target=write_slowly)
        writer.start()
        found.append(next(frames))
        writer.join()
    assert found[0].number == 2
    np.testing.assert_array_equal(found[0].pixels, image)


def test_a_file_that_stays_damaged_is_left_out_and_the_next_is_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(growing_folder, "MAX_UNREADABLE_S", 0.05)
    write(tmp_path, "a_t1.tif", 1)
    (tmp_path / "a_t2.tif").write_bytes(b"II*\0 nothing")
    write(tmp_path, "a_t3.tif", 3)
    found, recording = follow(tmp_path)
    assert [number for number, *_ in found] == [1, 3]
    assert "a_t2.tif is damaged and was left out" in recording.notice


def test_channels_of_the_first_moment_are_those_of_the_session(tmp_path):
    for t in (1, 2):
        for channel in (1, 2):
            write(tmp_path, f"a_w{channel}GFP_t{t}.tif", 10 * channel + t)
    write(tmp_path, "a_w3Cy5_t2.tif", 99)
    found, recording = follow(tmp_path)
    assert recording.channels == (1, 2)
    assert [(n, channel, value) for n, _, channel, value in found] == [
        (1, 1, 11),
        (1, 2, 21),
        (2, 1, 12),
        (2, 2, 22),
    ]
    found, _ = follow(tmp_path, RecordingHints(rate_hz=1.0, channel=2))
    assert [value for *_, value in found] == [21, 22]


def test_the_first_stage_position_is_read_or_the_one_that_is_asked_for(tmp_path):
    for t in (1, 2):
        for position in (2, 5):
            write(tmp_path, f"a_w1_s{position}_t{t}.tif", 10 * position + t)
            write(tmp_path, f"a_w1_s{position}_t{t}_thumb.tif", 0)
    found, recording = follow(tmp_path)
    assert [value for *_, value in found] == [21, 22]
    assert "stage positions 2, 5; position 2 is read" in recording.notice
    found, _ = follow(tmp_path, RecordingHints(rate_hz=100.0, position=5))
    assert [value for *_, value in found] == [51, 52]


def test_times_of_the_files_count_and_a_clock_that_goes_back_is_mentioned(tmp_path):
    moments = ("10:00:00", "10:00:02", "10:00:06", "10:00:01")
    for t, moment in enumerate(moments):
        write(tmp_path, f"a_t{t}.tif", t, datetime=f"2026:01:01 {moment}")
    hints = RecordingHints()
    with FollowedFolder(tmp_path, hints, TIMEOUT_S) as recording:
        frames = recording.frames()
        times_s = [next(frames).t_s for _ in moments]
    assert recording.rate_hz == pytest.approx(1 / 3)
    assert times_s == [0.0, 2.0, 6.0, 9.0]
    assert "the clock of the files goes back at frame 3" in recording.notice


def test_an_unknown_interval_is_asked_for(tmp_path):
    write(tmp_path, "a_t1.tif", 1)
    with pytest.raises(RecordingError, match="give it in seconds with --interval-s"):
        follow(tmp_path, RecordingHints())


def test_an_empty_folder_is_reported_after_the_timeout(tmp_path):
    with pytest.raises(RecordingError, match="no readable TIFF file appeared"):
        follow(tmp_path)


def test_a_change_of_the_binning_is_explained(tmp_path):
    write(tmp_path, "a_t1.tif", 1)
    image = np.zeros((8, 10), np.uint16)
    tifffile.imwrite(tmp_path / "a_t2.tif", image, photometric="minisblack")
    with pytest.raises(RecordingError, match="was the binning or the field changed"):
        follow(tmp_path)


def test_the_growing_stack_of_micro_manager_is_followed_as_one_file(tmp_path):
    path = tmp_path / "a_MMStack_Pos0.ome.tif"
    images = np.stack([np.full(SHAPE, k, np.uint16) for k in range(3)])
    tifffile.imwrite(path, images, photometric="minisblack", metadata=None)
    with open_followed_folder(tmp_path, HINTS, TIMEOUT_S) as recording:
        assert isinstance(recording, FollowedTiff)
        assert [int(f.pixels[0, 0]) for f in recording.frames()] == [0, 1, 2]
