"""Growing TIFF files: complete pages, following files, and files that are refused."""

from __future__ import annotations

import time

import numpy as np
import pytest
import tifffile

from rtrecon.sources import RecordingError, RecordingHints, open_recording
from rtrecon.sources.growing_tiff import FollowedTiff, GrowingTiff
from rtrecon.sources.growing_tiff_pages import GrowingTiffReader
from rtrecon.testing.scanimage_file import make_pages, write_scanimage
from tests.support.tiff_writer import N_FRAMES, build_big, build_classic

NAMES = ("m_00001.tif", "m_00002.tif")


@pytest.mark.parametrize("build", [build_big, build_classic])
def test_a_page_is_read_as_soon_as_its_last_byte_is_write_bytes_to(tmp_path, build):
    content, starts = build(tmp_path / "whole.tif", 1)
    ends = [*starts[1:], len(content)]
    path = tmp_path / "a.tif"
    path.write_bytes(b"")
    reader = GrowingTiffReader(path)
    values = []
    with path.open("r+b", buffering=0) as file:
        for size in range(0, len(content) + 7, 7):
            file.seek(0, 2)
            file.write(content[file.tell() : size])
            while (page := reader.read_page()) is not None:
                values.append(int(page.pixels[0, 0]))
                assert np.ptp(page.pixels) == 0
            assert len(values) == sum(end <= size for end in ends)
    reader.close()
    assert values == list(range(1, N_FRAMES + 1))


def test_following_ends_after_the_timeout(tmp_path):
    path = write_scanimage(tmp_path / "m_00001.tif", make_pages(3))
    with FollowedTiff(path, RecordingHints(), timeout_s=0.1) as recording:
        began_s = time.monotonic()
        assert [frame.number for frame in recording.frames()] == [1, 2, 3]
    assert time.monotonic() - began_s >= 0.1


def test_frames_that_are_in_the_file_are_read_before_the_timeout_counts(tmp_path):
    path = write_scanimage(tmp_path / "m_00001.tif", make_pages(3))
    with FollowedTiff(path, RecordingHints(), timeout_s=0.0) as recording:
        assert [frame.number for frame in recording.frames()] == [1, 2, 3]


def test_a_next_file_of_another_image_size_is_refused(tmp_path):
    first = write_scanimage(tmp_path / NAMES[0], make_pages(2))
    write_scanimage(tmp_path / NAMES[1], make_pages(2, (4, 4)))
    with FollowedTiff(first, RecordingHints(), timeout_s=0.1) as recording:
        frames = recording.frames()
        assert [next(frames).number, next(frames).number] == [1, 2]
        with pytest.raises(RecordingError, match=r"00002.tif holds int16 4 x 4"):
            next(frames)


def test_channels_and_planes_of_a_growing_file_are_read(tmp_path):
    settings = {
        "SI.hChannels.channelSave": "[1;2]",
        "SI.hFastZ.enable": "true",
        "SI.hStackManager.numSlices": "2",
        "SI.hStackManager.numFramesPerVolumeWithFlyback": "3",
    }
    pixels, path = make_pages(10), tmp_path / "a.tif"
    stamps = [(1 + i // 2, i / 60) for i in range(10)]
    whole = write_scanimage(tmp_path / "b.tif", pixels, stamps, settings).read_bytes()
    path.write_bytes(whole[:-1])  # of the last image, one channel is there
    with GrowingTiff(path, RecordingHints(channel=2)) as recording:
        found = [(f.number, f.plane) for f in recording.frames()]
        assert found == [(1, 0), (1, 1), (2, 0)]
        path.write_bytes(whole)
        (last,) = recording.frames()
        assert (last.number, last.plane, last.channel) == (2, 1, 2)
        assert np.array_equal(last.pixels, pixels[9])


def test_a_file_of_another_program_needs_a_rate(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, make_pages(3), photometric="minisblack", metadata=None)
    with pytest.raises(RecordingError, match="give --rate-hz"):
        GrowingTiff(path, RecordingHints())
    with GrowingTiff(path, RecordingHints(rate_hz=10.0)) as recording:
        assert [frame.t_s for frame in recording.frames()] == [0.0, 0.1, 0.2]


def write_bytes_to(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


# what is wrong -> function that writes a.tif, words of the error
REFUSED = {
    "nothing there": (
        lambda folder: None,
        "does not exist after 0.05 s; start the acquisition earlier",
    ),
    "no frame yet": (
        write_bytes_to("a.tif", b"II*\0\x08\0\0\0"),
        "contains no complete frame yet",
    ),
    "no TIFF": (write_bytes_to("a.tif", b"GIF89a, and so on"), "not a readable TIFF"),
    "compressed": (
        lambda folder: write_scanimage(folder / "a.tif", make_pages(1), compression=8),
        "compressed; only uncompressed files can be followed",
    ),
    "8 bits": (
        lambda folder: write_scanimage(folder / "a.tif", make_pages(1, dtype=np.uint8)),
        r"have \(8,\) bits; only 16-bit pixels can be followed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_cannot_be_followed_are_refused_with_the_reason(tmp_path, case):
    make, words = REFUSED[case]
    make(tmp_path)
    with pytest.raises(RecordingError, match=words):
        FollowedTiff(tmp_path / "a.tif", RecordingHints(), timeout_s=0.05)


def test_random_damage_never_raises_anything_but_a_recording_error(tmp_path):
    whole = write_scanimage(tmp_path / "a.tif", make_pages(2)).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / "b.tif"
    for _ in range(100):
        content = bytearray(whole)
        for index in rng.integers(0, len(content), 8):
            content[index] = rng.integers(256)
        path.write_bytes(content)
        reader = GrowingTiffReader(path)
        try:
            while reader.n_pages_read < 5 and reader.read_page() is not None:
                pass
        except RecordingError:
            pass
        finally:
            reader.close()


@pytest.mark.parametrize(
    "name",
    ["replay_real_pixels_synthetic_SI_header.tif", "scanimage38_30x64x64.tif"],
)
def test_a_real_file_gives_the_same_frames_as_its_reader(shared_data, name):
    path = shared_data / "scanimage" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    with GrowingTiff(path, RecordingHints()) as growing, open_recording(path) as whole:
        pairs = zip(growing.frames(), whole.frames(), strict=True)
        n_same = sum(
            np.array_equal(a.pixels, b.pixels)
            and (a.number, a.channel) == (b.number, b.channel)
            and a.t_s == pytest.approx(b.t_s)
            for a, b in pairs
        )
        assert n_same == whole.n_frames
