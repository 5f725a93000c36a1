"""Files that another process writes while they are read."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile

from rtrecon import sources
from rtrecon.protocol import messages
from rtrecon.replay.recording import forward
from rtrecon.sources.growing_tiff import FollowedTiff, GrowingTiff
from rtrecon.sources.growing_tiff_pages import Chain
from rtrecon.sources.recording import Hints, RecordingError
from rtrecon.testing.daemon_process import rtrecon
from rtrecon.testing.listener import Listener
from rtrecon.testing.scanimage_file import pages, write_scanimage
from tests.support import tiff_writer
from tests.support.tiff_writer import N_FRAMES, RATE_HZ, SHAPE, big, classic, frames

WRITER = Path(tiff_writer.__file__)
SILENCE_S = 5.0  # longer than a process takes to start on a loaded machine
KINDS = ("big", "patched", "classic")
LOOP = ("m_00001.tif", "m_00002.tif", "m_00003.tif")


@contextmanager
def writing(kind: str, folder: Path, *names: str):
    """Another process that writes these files."""
    command = [sys.executable, str(WRITER), kind, str(folder), *names]
    process = subprocess.Popen(command)
    try:
        yield process
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("build", [big, classic])
def test_a_page_is_read_once_its_last_byte_is_there(tmp_path, build):
    content, starts = build(tmp_path / "whole.tif", 1)
    ends = [*starts[1:], len(content)]
    path = tmp_path / "a.tif"
    path.write_bytes(b"")
    chain = Chain(path)
    values = []
    with path.open("r+b", buffering=0) as file:
        for size in range(0, len(content) + 7, 7):
            file.seek(0, 2)
            file.write(content[file.tell() : size])
            while (page := chain.next()) is not None:
                values.append(int(page.pixels[0, 0]))
                assert np.ptp(page.pixels) == 0
            assert len(values) == sum(end <= size for end in ends)
    chain.close()
    assert values == list(range(1, N_FRAMES + 1))


@contextmanager
def followed(kind: str, folder: Path, *names: str):
    with writing(kind, folder, *names):
        recording = FollowedTiff(folder / names[0], Hints(), SILENCE_S)
        with recording:
            yield recording


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_followed_while_it_is_written(tmp_path, kind):
    with followed(kind, tmp_path, "m.tif") as recording:
        assert (recording.shape, recording.dtype) == (SHAPE, np.int16)
        assert (recording.rate_hz, recording.n_frames) == (RATE_HZ, None)
        found = list(islice(recording.frames(), N_FRAMES))
    assert [frame.number for frame in found] == list(range(1, N_FRAMES + 1))
    times = [frame.t_s for frame in found]
    assert times == pytest.approx(np.arange(1, N_FRAMES + 1) / RATE_HZ)
    assert np.array_equal([frame.pixels for frame in found], frames(1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_a_loop_follow_each_other(tmp_path, kind):
    n_all = len(LOOP) * N_FRAMES
    with followed(kind, tmp_path, *LOOP) as recording:
        found = list(islice(recording.frames(), n_all))
    assert [frame.number for frame in found] == list(range(1, n_all + 1))
    assert np.array_equal([f.pixels[0, 0] for f in found], np.arange(1, n_all + 1))


@pytest.mark.parametrize(
    "name",
    ["replay_real_pixels_synthetic_SI_header.tif", "scanimage38_30x64x64.tif"],
)
def test_a_real_file_is_followed_to_the_same_frames(shared_data, name):
    path = shared_data / "scanimage" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    with GrowingTiff(path, Hints()) as growing, sources.open(path) as whole:
        pairs = zip(growing.frames(), whole.frames(), strict=True)
        n_same = sum(
            np.array_equal(a.pixels, b.pixels)
            and (a.number, a.channel) == (b.number, b.channel)
            and a.t_s == pytest.approx(b.t_s)
            for a, b in pairs
        )
        assert n_same == whole.n_frames


def test_silence_ends_it(tmp_path):
    path = write_scanimage(tmp_path / "m_00001.tif", pages(3))
    with FollowedTiff(path, Hints(), silence_s=0.3) as recording:
        began_s = time.monotonic()
        assert [frame.number for frame in recording.frames()] == [1, 2, 3]
    assert time.monotonic() - began_s >= 0.3


def test_a_following_file_of_another_size_is_refused(tmp_path):
    first = write_scanimage(tmp_path / LOOP[0], pages(2))
    write_scanimage(tmp_path / LOOP[1], pages(2, (4, 4)))
    with FollowedTiff(first, Hints(), silence_s=0.3) as recording:
        coming = recording.frames()
        assert [next(coming).number, next(coming).number] == [1, 2]
        with pytest.raises(RecordingError, match=r"00002.tif holds int16 4 x 4"):
            next(coming)


def test_channels_and_planes_of_a_growing_file(tmp_path):
    settings = {
        "SI.hChannels.channelSave": "[1;2]",
        "SI.hFastZ.enable": "true",
        "SI.hStackManager.numSlices": "2",
        "SI.hStackManager.numFramesPerVolumeWithFlyback": "3",
    }
    pixels, path = pages(10), tmp_path / "a.tif"
    stamps = [(1 + i // 2, i / 60) for i in range(10)]
    whole = write_scanimage(tmp_path / "b.tif", pixels, stamps, settings).read_bytes()
    path.write_bytes(whole[:-1])  # of the last image, one channel is there
    with GrowingTiff(path, Hints(channel=2)) as recording:
        found = [(f.number, f.plane) for f in recording.frames()]
        assert found == [(1, 0), (1, 1), (2, 0)]
        path.write_bytes(whole)
        (last,) = recording.frames()
        assert (last.number, last.plane, last.channel) == (2, 1, 2)
        assert np.array_equal(last.pixels, pixels[9])


def test_a_file_of_another_program_needs_a_rate(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pages(3), photometric="minisblack", metadata=None)
    with pytest.raises(RecordingError, match="give --rate-hz"):
        GrowingTiff(path, Hints())
    with GrowingTiff(path, Hints(rate_hz=10.0)) as recording:
        assert [frame.t_s for frame in recording.frames()] == [0.0, 0.1, 0.2]


def written(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


# what is wrong -> who makes a.tif, words of the sentence
REFUSED = {
    "nothing there": (lambda folder: None, "does not exist; nobody began it"),
    "no frame yet": (written("a.tif", b"II*\0\x08\0\0\0"), "no whole frame in it yet"),
    "no TIFF": (written("a.tif", b"GIF89a, and so on"), "not a readable TIFF"),
    "compressed": (
        lambda folder: write_scanimage(folder / "a.tif", pages(1), compression=8),
        "compressed; only plain ones can be followed",
    ),
    "8 bits": (
        lambda folder: write_scanimage(folder / "a.tif", pages(1, dtype=np.uint8)),
        r"have \(8,\) bits; 16 can be followed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_refused_in_words(tmp_path, case):
    make, words = REFUSED[case]
    make(tmp_path)
    with pytest.raises(RecordingError, match=words):
        FollowedTiff(tmp_path / "a.tif", Hints(), silence_s=0.05)


def test_bytes_that_make_no_sense_are_waited_for_or_refused(tmp_path):
    whole = write_scanimage(tmp_path / "a.tif", pages(2)).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / "b.tif"
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 8):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        chain = Chain(path)
        try:
            while chain.n_read < 5 and chain.next() is not None:
                pass
        except RecordingError:
            pass
        finally:
            chain.close()


def test_what_is_read_is_not_kept(tmp_path):
    path = write_scanimage(tmp_path / "a.tif", pages(200, (256, 512)))  # 50 MB
    with GrowingTiff(path, Hints()) as recording:
        before = psutil.Process().memory_info().rss
        assert sum(1 for _ in recording.frames()) == 200
        assert psutil.Process().memory_info().rss - before < 10 * 2**20


def test_a_growing_file_reaches_the_daemon(tmp_path, free_address):
    address = free_address()
    with Listener(address) as listener, writing("patched", tmp_path, *LOOP[:1]):
        recording = FollowedTiff(tmp_path / LOOP[0], Hints(), SILENCE_S)
        report = forward(recording, address, may_wait=True)
    assert (report.frames_sent, report.frames_dropped) == (N_FRAMES, 0)
    start = listener.messages[0][0]
    assert isinstance(start, messages.Start)
    assert start.source == LOOP[0]
    assert [frame.frame for frame, _ in listener.frames()] == list(range(1, 13))
    assert np.array_equal([image for _, image in listener.frames()], frames(1))


def test_the_command_follows_a_file(tmp_path, free_address):
    path = write_scanimage(tmp_path / "a.tif", pages(3))
    address = free_address()
    with Listener(address) as listener:
        done = rtrecon("replay", path, "--to", address, "--follow", "--silence", 0.5)
    assert done.returncode == 0, done.stderr
    assert "3 frames sent, 0 dropped" in done.stdout
    assert len(listener.frames()) == 3
