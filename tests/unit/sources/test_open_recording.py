"""`open_recording` reads every format without loss."""

from __future__ import annotations

import doctest
import math
import re
from pkgutil import resolve_name

import numpy as np
import pytest
import tifffile

from rtrecon.cli.sources import parse_size
from rtrecon.core.errors import UserError
from rtrecon.sources import RecordingError, RecordingHints, open_recording
from rtrecon.sources.registry import FORMATS as FORMATS_OF_REGISTRY
from tests.support.recording_files import (
    PIXELS,
    RATE,
    RATE_HZ,
    SHAPE,
    TIMES,
    write_nwb,
    write_one_of_two_datasets,
    write_scanbox,
    write_single_dataset,
    write_stack,
    write_suite2p,
    write_suite2p_2026,
    write_thor,
)

# format -> function that writes it, hints, channels in it
FORMATS = {
    "Suite2p, by its folder": (write_suite2p, None, (1,)),
    "Suite2p of 2026": (write_suite2p_2026, None, (1,)),
    "one HDF5 dataset of several": (write_one_of_two_datasets, RATE, (1,)),
    "the only HDF5 dataset": (write_single_dataset, RATE, (1,)),
    "NWB": (write_nwb, None, (1,)),
    "a TIFF stack": (lambda f: write_stack(f, metadata=TIMES), RATE, (1,)),
    "a compressed TIFF stack": (
        lambda f: write_stack(f, compression="zlib", metadata=TIMES),
        RATE,
        (1,),
    ),
    "a stack of ImageJ": (
        lambda f: write_stack(f, imagej=True, metadata=TIMES),
        RATE,
        (1,),
    ),
    "a big-endian stack": (
        lambda f: write_stack(f, byteorder=">", metadata=TIMES),
        RATE,
        (1,),
    ),
    "Thor": (write_thor, None, (1, 3)),
    "Scanbox of two channels": (write_scanbox, None, (1, 2)),
    "Scanbox of one channel": (lambda folder: write_scanbox(folder, 3), None, (2,)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_by_its_path(tmp_path, name):
    write, hints, channels = FORMATS[name]
    with open_recording(write(tmp_path), hints) as recording:
        frames = list(recording.frames())
        assert (recording.shape, recording.n_frames) == (SHAPE, len(PIXELS))
        assert recording.rate_hz == pytest.approx(RATE_HZ)
        assert (recording.channels, recording.notice) == (channels, "")
    n = len(channels)
    assert np.array_equal([frame.pixels for frame in frames], PIXELS)
    assert [frame.number for frame in frames] == [1 + i // n for i in range(6)]
    assert [frame.channel for frame in frames] == list(channels) * (6 // n)
    times = [frame.t_s for frame in frames]
    assert times == pytest.approx([i // n / RATE_HZ for i in range(6)])
    for frame in frames:
        assert frame.pixels.dtype == recording.dtype
        assert frame.pixels.dtype.name in ("int16", "uint16")
        assert frame.pixels.flags.c_contiguous


def test_a_block_of_images_behind_one_page_is_read(tmp_path):
    """ImageJ writes files above 4 GB so: the other pages are not listed."""
    path = write_stack(tmp_path, imagej=True)
    with tifffile.TiffFile(path) as tiff:
        first = tiff.pages.first
        after_tags = first.offset + 2 + 12 * len(first.tags)
    with path.open("r+b") as file:
        file.seek(after_tags)
        file.write(bytes(4))  # no page follows
    with open_recording(path, RATE) as recording:
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


# pixels, their type, the type they are converted to
CONVERTED = {
    "uint8": (PIXELS % 200, np.uint8, np.uint16),
    "int32": (PIXELS - 1000, np.int32, np.int16),
    "int32, high": (PIXELS.astype(int) + 35_000, np.int32, np.uint16),
    "uint32": (PIXELS, np.uint32, np.uint16),
    "float32, whole": (PIXELS, np.float32, np.int16),
}


@pytest.mark.parametrize("case", CONVERTED)
def test_pixels_of_other_types_are_converted_without_loss(tmp_path, case):
    values, dtype, expected = CONVERTED[case]
    with open_recording(write_stack(tmp_path, values.astype(dtype)), RATE) as recording:
        assert recording.dtype == expected
        assert np.array_equal([f.pixels for f in recording.frames()], values)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e9])
def test_pixels_that_cannot_be_converted_without_loss_are_refused(tmp_path, value):
    pixels = PIXELS.astype(np.float32)
    pixels[2, 3, 4] = value
    with open_recording(write_stack(tmp_path, pixels), RATE) as recording:
        frames = recording.frames()
        assert [next(frames).number, next(frames).number] == [1, 2]
        with pytest.raises(
            RecordingError, match=f"frame 3 .*{re.escape(format(value, 'g'))}"
        ):
            next(frames)


@pytest.mark.parametrize("rest_bytes", [1, 383])
def test_a_truncated_file_gives_its_complete_frames(tmp_path, rest_bytes):
    path = write_suite2p(tmp_path) / "data.bin"
    path.write_bytes(path.read_bytes()[: 2 * 384 + rest_bytes])
    with open_recording(path) as recording:
        assert (
            f"after 2 complete frames {rest_bytes} bytes are left" in recording.notice
        )
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS[:2])


def test_suite2p_without_settings_needs_hints_of_size_and_rate(tmp_path):
    path = tmp_path / "data.bin"
    PIXELS.tofile(path)
    with pytest.raises(RecordingError, match="give --shape, such as 512x512"):
        open_recording(path, RATE)
    with open_recording(path, RecordingHints(rate_hz=5.0, shape=SHAPE)) as recording:
        assert recording.rate_hz == 5.0
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


@pytest.mark.parametrize("text", ["512", "ax3", "512x", "512x3x4", "-5x6"])
def test_text_that_is_not_a_size_is_refused(text):
    with pytest.raises(
        UserError, match=f"'{text}' is not an image size; write lines x pixels"
    ):
        parse_size(text)


def test_a_size_is_lines_by_pixels():
    assert (parse_size("512x796"), parse_size("4X3"), parse_size(None)) == (
        (512, 796),
        (4, 3),
        None,
    )


def test_a_file_without_a_rate_opens_with_nan_if_no_rate_is_required(tmp_path):
    hints = RecordingHints(is_rate_required=False)
    with open_recording(write_stack(tmp_path), hints) as recording:
        assert math.isnan(recording.rate_hz)
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


def test_the_example_in_the_documentation_of_open_recording_runs(tmp_path, monkeypatch):
    pixels = np.full((2, 12, 16), 100, np.uint16) * [[[1]], [[2]]]
    image = pixels.astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", image, photometric="minisblack")
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder().find(open_recording, globs={})
    result = doctest.DocTestRunner().run(example)
    assert (result.attempted, result.failed) == (2, 0)


def test_every_registered_opener_and_test_can_be_imported():
    for entry in FORMATS_OF_REGISTRY:
        assert callable(resolve_name(entry.opener))
        assert not entry.test or callable(resolve_name(entry.test))
