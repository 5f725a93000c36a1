"""Recordings that are long, or opened by a command."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import psutil
import tifffile

from rtrecon.cli import analysis
from rtrecon.rois.readers.registry import load_rois
from rtrecon.sources import RecordingHints, open_recording
from rtrecon.testing.frame_receiver import FrameReceiver
from rtrecon.testing.scanimage_file import make_pages
from tests.support.command_line import run_here


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path):
    path, shape, n_bytes = tmp_path / "data.bin", (1024, 1024), 2 * 2**30
    with path.open("wb") as file:  # sparse: it takes no space on the disk
        file.truncate(n_bytes)
    process = psutil.Process()
    hints = RecordingHints(rate_hz=30.0, shape=shape)
    with open_recording(path, hints) as recording:
        assert recording.n_frames == n_bytes // 2**21
        frames = recording.frames()
        next(frames)
        before = process.memory_info().rss
        for _, frame in zip(range(100), frames, strict=False):  # 200 MB
            assert not frame.pixels[-1, -1]
        assert process.memory_info().rss - before < 50 * 2**20


def test_the_replay_command_sends_a_tiff_stack_at_the_given_rate(
    tmp_path, free_address
):
    pixels, path, address = make_pages(6), tmp_path / "a.tif", free_address()
    tifffile.imwrite(path, pixels, photometric="minisblack")
    with FrameReceiver(address) as receiver:
        done = run_here("replay", path, "--to", address, "--rate-hz", 50, "--speed", 0)
    assert done.returncode == 0, done.stderr
    start = receiver.received[0][0]
    assert (start.source, start.rate_hz) == ("replay of a.tif", 50.0)
    assert np.array_equal([image for _, image in receiver.frames()], pixels)


def test_the_rois_command_opens_a_dataset_of_an_hdf5_file(tmp_path):
    rng = np.random.default_rng(0)
    movie = rng.normal(100, 5, (60, 48, 48))
    rows, cols = np.indices((48, 48))
    movie += 60 * (np.hypot(rows - 24, cols - 24) <= 5)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = movie.astype(np.int16)
    out = tmp_path / "rois.json"
    analysis.rois(Path(f"{tmp_path / 'a.h5'}:/raw"), out=out)
    center = load_rois(out, (48, 48)).compute_centers()[0]
    assert np.hypot(*(center - 24)) < 2
