"""Recordings of a process that is killed, or whose disk is full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtrecon.session import session as session_module
from rtrecon.session.session import Session
from rtrecon.testing.waiting import wait_until
from tests.support import session_tables as world

CHUNK_ROWS = 12  # of half a second


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_stops_recording_and_keeps_what_was_written(tmp_path: Path):
    """The operating system refuses to write files beyond a size."""
    done = subprocess.run(
        [sys.executable, world.__file__, str(tmp_path), "0.2", "--full-disk"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    assert "stopped: [Errno" in result["failure"]
    assert result["lost"] > 0
    session = Session(session_module.list_sessions(tmp_path)[0])
    frames = session.frames["frame"]
    assert 0 < len(frames) < result["frames"]
    assert np.array_equal(frames, np.arange(len(frames)))
    assert np.array_equal(session.frames.read_values()[:, 0, 0], frames)


def test_a_killed_recording_keeps_every_row_that_was_on_disk(tmp_path: Path):
    command = [sys.executable, world.__file__, str(tmp_path), "0.5"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        # Whole chunks of 12 rows reach the disk while the next one is still open.
        n_on_disk = wait_until(lambda: count_frames(tmp_path, at_least=24))
        process.kill()
    session = Session(session_module.list_sessions(tmp_path)[0])
    frames = session.frames["frame"]
    assert len(frames) >= n_on_disk
    assert np.array_equal(frames, np.arange(len(frames)))
    assert np.array_equal(session.frames.read_values()[:, 0, 0], frames)
    assert np.array_equal(session.stimulus.read_values(0, 1)[0], world.make_stimulus(0))
    assert len(session.events) >= n_on_disk - CHUNK_ROWS
    assert session.notices == [] or "lines" in session.notices[0]


def count_frames(folder: Path, at_least: int) -> int:
    """Return how many frames are on disk; 0 while there are fewer."""
    paths = session_module.list_sessions(folder)
    n_frames = len(Session(paths[0]).frames) if paths else 0
    return n_frames if n_frames >= at_least else 0
