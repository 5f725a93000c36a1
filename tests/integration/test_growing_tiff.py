"""TIFF files that another process writes while they are read."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest

from rtrecon.protocol import messages
from rtrecon.replay.recording import forward_live_source
from rtrecon.sources import RecordingHints
from rtrecon.sources.growing_tiff import FollowedTiff, GrowingTiff
from rtrecon.testing.frame_receiver import FrameReceiver
from rtrecon.testing.scanimage_file import make_pages, write_scanimage
from tests.support import tiff_writer
from tests.support.command_line import run_here
from tests.support.tiff_writer import FORMATS, N_FRAMES, RATE_HZ, SHAPE, make_frames

WRITER = Path(tiff_writer.__file__)
TIMEOUT_S = 60.0  # longer than a process takes to start on a loaded machine
LOOP = ("m_00001.tif", "m_00002.tif", "m_00003.tif")


@contextmanager
def follow_written_files(file_format: str, folder: Path, *names: str):
    """Follow the files that another process writes, up to their last frame."""
    command = [sys.executable, str(WRITER), file_format, str(folder), *names]
    process = subprocess.Popen(command)
    try:
        recording = FollowedTiff(folder / names[0], RecordingHints(), TIMEOUT_S)
        all_frames = recording.frames
        recording.frames = lambda: islice(all_frames(), len(names) * N_FRAMES)
        with recording:
            yield recording
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_files_of_a_loop_are_followed_while_they_are_written(tmp_path, file_format):
    with follow_written_files(file_format, tmp_path, *LOOP) as recording:
        assert (recording.shape, recording.dtype) == (SHAPE, np.int16)
        assert (recording.rate_hz, recording.n_frames) == (RATE_HZ, None)
        found = list(recording.frames())
    numbers = np.arange(1, len(LOOP) * N_FRAMES + 1)
    assert [frame.number for frame in found] == numbers.tolist()
    assert [frame.t_s for frame in found] == pytest.approx(numbers / RATE_HZ)
    expected = make_frames(1, len(numbers))
    assert np.array_equal([frame.pixels for frame in found], expected)


def test_memory_does_not_grow_while_a_file_is_followed(tmp_path):
    path = write_scanimage(tmp_path / "a.tif", make_pages(200, (256, 512)))  # 50 MB
    with GrowingTiff(path, RecordingHints()) as recording:
        before = psutil.Process().memory_info().rss
        assert sum(1 for _ in recording.frames()) == 200
        assert psutil.Process().memory_info().rss - before < 10 * 2**20


def test_a_growing_file_reaches_the_daemon(tmp_path, free_address):
    address = free_address()
    with (
        FrameReceiver(address) as receiver,
        follow_written_files("patched", tmp_path, LOOP[0]) as recording,
    ):
        report = forward_live_source(recording, address, may_wait=True)
    assert (report.frames_sent, report.frames_dropped) == (N_FRAMES, 0)
    start = receiver.received[0][0]
    assert isinstance(start, messages.SessionStart)
    assert start.source == LOOP[0]
    assert [frame.frame for frame, _ in receiver.frames()] == list(range(1, 13))
    assert np.array_equal([image for _, image in receiver.frames()], make_frames(1))


def test_the_replay_command_follows_a_file(tmp_path, free_address):
    path = write_scanimage(tmp_path / "a.tif", make_pages(3))
    address = free_address()
    with FrameReceiver(address) as receiver:
        done = run_here("replay", path, "--to", address, "--follow", "--timeout", 0.5)
    assert done.returncode == 0, done.stderr
    assert "3 frames sent, 0 dropped" in done.stdout
    assert len(receiver.frames()) == 3
