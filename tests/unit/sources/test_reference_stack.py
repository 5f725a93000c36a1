"""Reference stacks of ScanImage, ImageJ and other programs, and wrong files."""

import gzip
import json

import numpy as np
import pytest
import tifffile

from rtrecon.sources.reference_stack import StackError, read_stack
from rtrecon.testing.scanimage_file import make_pages, write_scanimage
from tests.support.paths import TEST_DATA

DATA = TEST_DATA / "scanimage"
SLOW = {
    "SI.hStackManager.enable": "true",
    "SI.hStackManager.numSlices": "4",
    "SI.hStackManager.framesPerSlice": "3",
    "SI.hStackManager.stackMode": "'slow'",
    "SI.hStackManager.stackZStepSize": "5",
}
FAST = {
    "SI.hFastZ.enable": "true",
    "SI.hStackManager.enable": "true",
    "SI.hStackManager.numSlices": "3",
    "SI.hStackManager.numFramesPerVolumeWithFlyback": "4",
    "SI.hStackManager.zs": "[10 30 50]",
}


def average_planes(pixels, n_planes):
    """Return the mean of the successive images of each plane."""
    return pixels.reshape(n_planes, -1, *pixels.shape[1:]).mean(1, dtype=float)


# where ScanImage stores the depths -> settings, um between planes
DEPTHS = {
    "by step": ({}, 5.0),
    "by plane": ({"SI.hStackManager.zs": "[70 72 74 76]"}, 2.0),
    "by image": (
        {"SI.hStackManager.zs": "[70 70 70 72 72 72 74 74 74 76 76 76]"},
        2.0,
    ),
    "nowhere": ({"SI.hStackManager.stackZStepSize": "0"}, None),
}


@pytest.mark.parametrize("case", DEPTHS)
def test_images_of_a_slow_stack_are_averaged_per_plane(tmp_path, case):
    settings, expected_um = DEPTHS[case]
    pixels = make_pages(12)
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=SLOW | settings)
    planes, step_um = read_stack(path)
    assert planes.dtype == np.float32
    assert step_um == expected_um
    np.testing.assert_allclose(planes, average_planes(pixels, 4), rtol=1e-6)


def test_a_stack_that_starts_at_the_bottom_is_reversed(tmp_path):
    pixels = make_pages(12)
    settings = SLOW | {"SI.hStackManager.stackZStepSize": "-5"}
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=settings)
    planes, step_um = read_stack(path)
    assert step_um == 5.0
    np.testing.assert_allclose(planes, average_planes(pixels, 4)[::-1], rtol=1e-6)


@pytest.mark.parametrize(("channel", "first"), [(None, 0), (1, 0), (3, 1)])
def test_one_of_two_channels_is_read(tmp_path, channel, first):
    pixels = make_pages(24)
    settings = SLOW | {"SI.hChannels.channelSave": "[1;3]"}
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=settings)
    planes, _ = read_stack(path, channel)
    np.testing.assert_allclose(planes, average_planes(pixels[first::2], 4), rtol=1e-6)


def test_images_averaged_by_the_microscope_count_once(tmp_path):
    settings = SLOW | {"SI.hScan2D.logAverageFactor": "3"}
    pixels = make_pages(4)
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=settings)
    np.testing.assert_array_equal(read_stack(path)[0], pixels)


def test_a_stack_taken_twice_is_averaged(tmp_path):
    pixels = make_pages(24)
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=SLOW)
    expected = (average_planes(pixels[:12], 4) + average_planes(pixels[12:], 4)) / 2
    np.testing.assert_allclose(read_stack(path)[0], expected, rtol=1e-6)


def test_a_stopped_stack_has_fewer_planes(tmp_path):
    pixels = make_pages(8)
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=SLOW)
    planes, step_um = read_stack(path)
    assert step_um == 5.0
    expected = [pixels[:3].mean(0), pixels[3:6].mean(0), pixels[6:].mean(0)]
    np.testing.assert_allclose(planes, expected, rtol=1e-6)


def test_fast_z_volumes_are_averaged_without_flyback(tmp_path):
    pixels = make_pages(2 * 4 * 2)  # two channels
    settings = FAST | {"SI.hChannels.channelSave": "[1;2]"}
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=settings)
    planes, step_um = read_stack(path, channel=2)
    assert step_um == 20.0
    expected = pixels[1::2].reshape(2, 4, 12, 16)[:, :3].mean(0)
    np.testing.assert_allclose(planes, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_pages_of_another_tiff_are_planes(tmp_path, dtype):
    pixels = make_pages(5).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    planes, step_um = read_stack(tmp_path / "a.tif")
    assert (planes.dtype, step_um) == (np.float32, None)
    np.testing.assert_array_equal(planes, pixels)


@pytest.mark.parametrize(
    ("unit", "step_um"),
    [("um", 2.5), ("micron", 2.5), (r"\u00B5m", 2.5), ("inch", None)],
)
def test_imagej_files_give_the_distance_of_planes(tmp_path, unit, step_um):
    pixels = make_pages(5, dtype=np.uint16)
    metadata = {"spacing": 2.5, "unit": unit, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata=metadata)
    planes, found_um = read_stack(tmp_path / "a.tif")
    assert found_um == step_um
    np.testing.assert_array_equal(planes, pixels)


# what is wrong -> settings of the ScanImage file, words of the error
REFUSED = {
    "one plane": ({}, "holds 1 plane"),
    "uneven": (SLOW | {"SI.hStackManager.zs": "[0 5 10 30]"}, "evenly spaced"),
    "several fields": (SLOW | {"SI.hRoiManager.mroiEnable": "true"}, "2 scan fields"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_recordings_that_are_not_stacks_are_refused(tmp_path, name):
    settings, words = REFUSED[name]
    path = tmp_path / "a.tif"
    write_scanimage(path, make_pages(12), settings=settings, rois=[{}, {}])
    with pytest.raises(StackError, match=f"cannot be used as a stack: .*{words}"):
        read_stack(path)


def test_a_channel_that_was_not_saved_is_refused(tmp_path):
    for name, settings in {"slow.tif": SLOW, "fast.tif": FAST}.items():
        path = write_scanimage(tmp_path / name, make_pages(12), settings=settings)
        with pytest.raises(StackError, match="channel 2 was not saved; choose from 1"):
            read_stack(path, channel=2)


def test_missing_empty_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    with pytest.raises(StackError, match="does not exist"):
        read_stack(path)
    for content in (b"", b"planes, I promise" * 9):
        path.write_bytes(content)
        with pytest.raises(StackError, match="is not a readable TIFF file"):
            read_stack(path)
    write_scanimage(path, make_pages(12), settings=SLOW)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(StackError):
        read_stack(path)


NOT_STACKS = {
    "one image": (np.zeros((12, 16), np.uint16), r"shape \[12, 16\]"),
    "colour": (np.zeros((4, 12, 16, 3), np.uint8), r"shape \[4, 12, 16, 3\]"),
    "not finite": (np.full((4, 12, 16), np.nan, np.float32), "not finite"),
}


@pytest.mark.parametrize("name", NOT_STACKS)
def test_other_tiffs_that_are_not_stacks_are_refused(tmp_path, name):
    pixels, words = NOT_STACKS[name]
    photometric = "rgb" if name == "colour" else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric)
    with pytest.raises(StackError, match=words):
        read_stack(tmp_path / "a.tif")


def test_a_real_header_of_a_slow_stack_is_parsed(tmp_path):
    headers = DATA / "scanimage2021_headers.json.gz"
    if not headers.exists():
        pytest.skip(f"no real headers at {headers}")
    records = json.loads(gzip.decompress(headers.read_bytes()))
    real = next(r for r in records if r["group"] == "stackPost")["header"]
    settings = {
        f"SI.{part}.{key}": value
        for part in ("hStackManager", "hFastZ", "hScan2D", "hChannels", "hRoiManager")
        for key, value in real[part].items()
        if isinstance(value, str)
    }
    pixels = make_pages(620, shape=(4, 5))
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=settings)
    planes, step_um = read_stack(path)
    assert step_um == 2.0
    np.testing.assert_allclose(planes, average_planes(pixels, 31), rtol=1e-6)
