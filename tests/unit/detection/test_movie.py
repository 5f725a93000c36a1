"""Recordings as they lie on disks: ScanImage's, ImageJ's, anybody's; and none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.detection.movie import open_movie
from rtrecon.testing import scanimage_file

FOV = {
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
# What is no movie, and a word of what is said about it.
REFUSED = {
    "one picture": (np.zeros((20, 30), np.uint16), "uint16 \\[20, 30\\]"),
    "floating point": (np.zeros((5, 20, 30), np.float32), "float32"),
    "colours": (np.zeros((5, 20, 30, 3), np.uint8), "\\[5, 20, 30, 3\\]"),
}


def frames_of(movie):
    return np.stack(list(movie.frames()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_plain_movie_is_read_as_it_was_written(tmp_path: Path, layout: str):
    pixels = scanimage_file.pages(7, dtype=np.uint16)
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", **LAYOUTS[layout])
    with open_movie(path) as movie:
        assert (movie.shape, movie.n_frames) == (pixels.shape[1:], len(pixels))
        assert (movie.rate_hz, movie.um_per_px, movie.notice) == (None, None, "")
        for _ in range(2):  # from the first frame on, each time
            found = frames_of(movie)
            assert found.dtype == np.uint16
            np.testing.assert_array_equal(found, pixels)


def test_eight_bits_are_widened(tmp_path: Path):
    pixels = scanimage_file.pages(5, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "movie.tif", pixels, photometric="minisblack")
    with open_movie(tmp_path / "movie.tif") as movie:
        found = frames_of(movie)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(("settings", "um_per_px"), [(FOV, 2.0), ({}, None)])
def test_scanimage_tells_rate_and_scale(tmp_path: Path, settings, um_per_px):
    pixels = scanimage_file.pages(6)
    path = scanimage_file.write_scanimage(
        tmp_path / "si.tif", pixels, settings=settings
    )
    with open_movie(path) as movie:
        assert movie.rate_hz == pytest.approx(30.0)
        assert movie.um_per_px == um_per_px
        np.testing.assert_array_equal(frames_of(movie), pixels)


def test_one_channel_of_several_is_read(tmp_path: Path):
    pixels = scanimage_file.pages(6)
    settings = {"SI.hChannels.channelSave": "[1;2]"}
    path = scanimage_file.write_scanimage(
        tmp_path / "si.tif", pixels, settings=settings
    )
    with open_movie(path, channel=2) as movie:
        np.testing.assert_array_equal(frames_of(movie), pixels[1::2])


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_movie_is_refused(tmp_path: Path, case: str):
    pixels, told = REFUSED[case]
    tifffile.imwrite(tmp_path / "other.tif", pixels)
    with pytest.raises(UserError, match=told), open_movie(tmp_path / "other.tif"):
        pass


def test_what_is_no_recording_is_refused(tmp_path: Path):
    (tmp_path / "text.tif").write_text("no picture")
    for name, told in (("text.tif", "not a readable TIFF"), ("none", "does not exist")):
        with pytest.raises(UserError, match=told), open_movie(tmp_path / name):
            pass


def test_a_plain_movie_has_no_channels(tmp_path: Path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, scanimage_file.pages(5), photometric="minisblack")
    with pytest.raises(UserError, match="channel"), open_movie(path, channel=2):
        pass


def test_a_damaged_frame_is_named(tmp_path: Path):
    path = tmp_path / "movie.tif"
    pixels = scanimage_file.pages(5, (64, 64))
    tifffile.imwrite(path, pixels, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[3].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[at : at + 100] = bytes(100)
    path.write_bytes(content)
    with open_movie(path) as movie, pytest.raises(UserError, match="frame 4"):
        frames_of(movie)
