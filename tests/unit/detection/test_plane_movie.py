"""The detector reads one channel of one plane of any recording."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.detection.plane_movie import open_plane_movie
from rtrecon.sources import RecordingHints
from rtrecon.sources.message_capture import write_capture
from rtrecon.testing.scanimage_file import make_pages, write_scanimage

FIELD_OF_VIEW = {
    "SI.hRoiManager.imagingFovUm": "[-100 -50;100 -50;100 50;-100 50]",
    "SI.hRoiManager.linesPerFrame": "50",
    "SI.hRoiManager.pixelsPerLine": "100",
}
LAYOUTS = {
    "one block": {"contiguous": True},
    "compressed": {"compression": "zlib"},
    "ImageJ": {"imagej": True},
    "big-endian": {"byteorder": ">"},
    "page by page": {"contiguous": False},
}
# pixels that are not a movie, words of the error
REFUSED = {
    "fractions": (np.full((5, 20, 30), 0.5, np.float32), "float32 value 0.5"),
    "five colours": (np.zeros((5, 20, 30, 5), np.uint8), r"\[5, 20, 30, 5\]"),
}
VOLUMES = {
    "SI.hFastZ.enable": "true",
    "SI.hStackManager.numSlices": "2",
    "SI.hStackManager.numFramesPerVolumeWithFlyback": "3",
    "SI.hChannels.channelSave": "[1;2]",
}


def open_movie(path: Path | str, channel: int | None = None, plane: int = 0):
    return open_plane_movie(path, RecordingHints(channel), plane)


def read_frames(movie):
    return np.stack(list(movie.frames()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_plain_tiff_is_read_without_a_rate(tmp_path: Path, layout: str):
    pixels = make_pages(7, dtype=np.uint16)
    path = tmp_path / "movie.tif"
    axes = {"metadata": {"axes": "TYX"}}
    tifffile.imwrite(path, pixels, photometric="minisblack", **axes, **LAYOUTS[layout])
    movie = open_movie(path)
    assert (movie.shape, movie.n_frames) == (pixels.shape[1:], len(pixels))
    assert (movie.rate_hz, movie.um_per_px, movie.notice) == (None, None, "")
    for _ in range(2):  # each call starts at the first frame
        found = read_frames(movie)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, pixels)


def test_8_bit_pixels_become_16_bit(tmp_path: Path):
    pixels = make_pages(5, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "movie.tif", pixels, photometric="minisblack")
    found = read_frames(open_movie(tmp_path / "movie.tif"))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(("settings", "um_per_px"), [(FIELD_OF_VIEW, 2.0), ({}, None)])
def test_a_scanimage_file_gives_rate_and_scale(tmp_path: Path, settings, um_per_px):
    pixels = make_pages(6)
    path = write_scanimage(tmp_path / "si.tif", pixels, settings=settings)
    movie = open_movie(path)
    assert movie.rate_hz == pytest.approx(30.0)
    assert movie.um_per_px == um_per_px
    np.testing.assert_array_equal(read_frames(movie), pixels)


def test_one_channel_of_several_is_read(tmp_path: Path):
    pixels = make_pages(6)
    settings = {"SI.hChannels.channelSave": "[1;2]"}
    path = write_scanimage(tmp_path / "si.tif", pixels, settings=settings)
    for channel, expected in {None: pixels[::2], 2: pixels[1::2]}.items():
        movie = open_movie(path, channel)
        assert movie.n_frames == 3
        np.testing.assert_array_equal(read_frames(movie), expected)


def test_one_plane_of_a_volume_is_read_without_flyback(tmp_path: Path):
    pixels = make_pages(12)  # two volumes of two planes and a flyback, two channels
    path = write_scanimage(tmp_path / "si.tif", pixels, settings=VOLUMES)
    movie = open_movie(path, channel=2, plane=1)
    assert movie.n_frames == 2
    np.testing.assert_array_equal(read_frames(movie), pixels[[3, 9]])
    with pytest.raises(UserError, match=r"plane 2 is not in .* it has 2 plane"):
        open_movie(path, plane=2)


def test_a_dataset_of_an_hdf5_file_is_read_without_a_rate(tmp_path: Path):
    pixels = make_pages(6)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"], file["other"] = pixels, np.zeros((2, 2, 2))
    movie = open_movie(f"{tmp_path / 'a.h5'}:/raw")
    assert movie.rate_hz is None
    np.testing.assert_array_equal(read_frames(movie), pixels)


def test_suite2ps_binary_is_read_by_its_folder(tmp_path: Path):
    pixels = make_pages(6)
    pixels.tofile(tmp_path / "data.bin")
    ops = {"Ly": 12, "Lx": 16, "fs": 20.0}
    np.save(tmp_path / "ops.npy", np.array(ops, object), allow_pickle=True)
    movie = open_movie(tmp_path)
    assert (movie.rate_hz, movie.n_frames) == (20.0, 6)
    np.testing.assert_array_equal(read_frames(movie), pixels)


def test_captured_messages_are_read_as_often_as_needed(tmp_path: Path):
    pixels = make_pages(5).astype("<i2")
    messages = [
        [
            json.dumps(
                {
                    "frameNumbers": number,
                    "frameTimestamps_sec": number / 20,
                    "linesPerFrame": 12,
                    "pixelsPerLine": 16,
                    "channelSave": [1],
                }
            ).encode(),
            image.tobytes(),
        ]
        for number, image in enumerate(pixels, 1)
    ]
    write_capture(tmp_path / "a.rtrcap", messages, lambda _: None)
    movie = open_movie(tmp_path / "a.rtrcap")
    assert movie.n_frames == 5
    for _ in range(2):
        np.testing.assert_array_equal(read_frames(movie), pixels)


@pytest.mark.parametrize("case", REFUSED)
def test_pixels_that_are_not_a_movie_are_refused(tmp_path: Path, case: str):
    pixels, words = REFUSED[case]
    tifffile.imwrite(tmp_path / "other.tif", pixels)
    with pytest.raises(UserError, match=words):
        read_frames(open_movie(tmp_path / "other.tif"))


def test_files_that_are_not_recordings_are_refused(tmp_path: Path):
    (tmp_path / "text.tif").write_text("no picture")
    for name, words in {
        "text.tif": "not a readable TIFF",
        "none": "does not exist",
    }.items():
        with pytest.raises(UserError, match=words):
            open_movie(tmp_path / name)


def test_a_plain_tiff_has_only_channel_1(tmp_path: Path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, make_pages(5), photometric="minisblack")
    with pytest.raises(UserError, match="channel 2 was not saved"):
        open_movie(path, channel=2)


def test_a_damaged_frame_is_named(tmp_path: Path):
    path = tmp_path / "movie.tif"
    pixels = make_pages(5, (64, 64))
    tifffile.imwrite(path, pixels, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[3].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(UserError, match="frame 4"):
        read_frames(open_movie(path))
