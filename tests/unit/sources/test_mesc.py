"""Femtonics' .mesc files: which measurement, channels, rate and pixels are read.

The files are written here in the layout that public readers of the format expect.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.sources import RecordingError, RecordingHints, open_recording

PERIOD_MS, PIXEL_UM = 32.25, 1.25
TIME_AXIS, DEPTH_AXIS = 0, 3
IMAGES = np.arange(5 * 6 * 8, dtype=np.uint16).reshape(5, 6, 8) + 800


def encode_text(text):
    """Return text as MESc stores it: the codes of its letters, ended by 0."""
    return np.array([*map(ord, text), 0], np.uint16)


def write_unit(file, path, channels=(IMAGES,), role=TIME_AXIS, unit="ms", **attributes):
    group = file.create_group(path)
    for k, images in enumerate(channels):
        group.create_dataset(f"Channel_{k}", data=images, chunks=True)
    group.attrs["ZAxisGeomRole"] = np.array([role], np.uint32)
    group.attrs["ZAxisConversionUnitName"] = encode_text(unit)
    group.attrs["ZAxisConversionConversionLinearScale"] = PERIOD_MS
    group.attrs["XAxisConversionConversionLinearScale"] = PIXEL_UM
    group.attrs["XAxisConversionUnitName"] = encode_text("µm")
    for name, value in attributes.items():
        group.attrs[name] = value


@pytest.fixture
def write_file(tmp_path):
    def write(**units):
        """Write units named MUnit_0=..., each the arguments of `write_unit`."""
        path = tmp_path / "mouse.mesc"
        with h5py.File(path, "w") as file:
            for name, arguments in units.items():
                write_unit(file, f"MSession_0/{name}", **arguments)
        return path

    return write


def read_frames(path, hints=RecordingHints()):  # noqa: B008  # frozen
    with open_recording(path, hints) as recording:
        return recording, list(recording.frames())


def test_frames_rate_and_pixel_size_are_those_of_the_file(write_file):
    recording, frames = read_frames(write_file(MUnit_0={}))
    assert recording.rate_hz == pytest.approx(1000 / PERIOD_MS)
    assert (recording.shape, recording.n_frames) == ((6, 8), 5)
    assert (recording.um_per_px, recording.notice) == (PIXEL_UM, "")
    assert np.array_equal([frame.pixels for frame in frames], IMAGES)
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5]
    assert frames[3].t_s == pytest.approx(3 * PERIOD_MS / 1000)


def test_both_channels_of_a_frame_are_read_and_one_can_be_chosen(write_file):
    path = write_file(MUnit_0={"channels": (IMAGES, IMAGES + 1)})
    _, frames = read_frames(path)
    assert [(f.number, f.channel) for f in frames[:4]] == [
        *((1, 1), (1, 2), (2, 1), (2, 2))
    ]
    _, second = read_frames(path, RecordingHints(channel=2))
    assert np.array_equal([frame.pixels for frame in second], IMAGES + 1)
    with pytest.raises(RecordingError, match="channel 3 was not saved"):
        open_recording(path, RecordingHints(channel=3))


def test_a_stack_in_depth_is_not_taken_for_a_movie(write_file):
    stack = {"role": DEPTH_AXIS, "unit": "µm", "channels": (IMAGES + 9,)}
    path = write_file(MUnit_0=stack, MUnit_1={})
    _, frames = read_frames(path)
    assert np.array_equal([frame.pixels for frame in frames], IMAGES)
    with pytest.raises(RecordingError, match="MUnit_0 is a stack in depth"):
        open_recording(f"{path}:/MSession_0/MUnit_0")
    with pytest.raises(RecordingError, match="holds 0 movies"):
        open_recording(write_file(MUnit_0=stack))


def test_a_measurement_is_chosen_by_its_path(write_file):
    units = {f"MUnit_{k}": {"channels": (IMAGES + k,)} for k in (0, 2, 10)}
    path = write_file(**units)
    _, frames = read_frames(f"{path}:/MSession_0/MUnit_10")
    assert np.array_equal(frames[0].pixels, IMAGES[0] + 10)
    with pytest.raises(RecordingError, match="holds 3 movies") as error:
        open_recording(path)
    names = [f"/MSession_0/MUnit_{k}" for k in (0, 2, 10)]
    assert ", ".join(names) in str(error.value)
    with pytest.raises(RecordingError, match="MUnit_1 is no measurement in it;"):
        open_recording(f"{path}:/MSession_0/MUnit_1")


def test_images_that_are_stored_inverted_are_turned_back(write_file):
    inverted = {
        "channels": (np.uint16(0xFFFF) - IMAGES,),
        "Channel_0_Conversion_ConversionLinearScale": -1.0,
        "Channel_0_Conversion_ConversionLinearOffset": 65535.0,
    }
    recording, frames = read_frames(write_file(MUnit_0=inverted))
    assert np.array_equal([frame.pixels for frame in frames], IMAGES)
    assert not recording.notice


def test_the_counts_without_light_are_reported(write_file):
    channels = (IMAGES, IMAGES)
    offsets = {
        f"Channel_{k}_Conversion_ConversionLinearOffset": offset
        for k, offset in enumerate((-786.0, -1170.0))
    }
    scales = {f"Channel_{k}_Conversion_ConversionLinearScale": 1.0 for k in (0, 1)}
    path = write_file(MUnit_0={"channels": channels, **offsets, **scales})
    recording, frames = read_frames(path)
    assert "786 (channel 1) and 1170 (channel 2) counts without light" in (
        recording.notice
    )
    assert np.array_equal(frames[0].pixels, IMAGES[0])


REFUSED = {
    "no measurement": ({}, "it has no measurement"),
    "line scan": (
        {"MUnit_0": {"channels": (IMAGES[0],)}},
        r"\(frames, lines, pixels\) is needed",
    ),
    "other pixels": (
        {"MUnit_0": {"channels": (IMAGES.astype(np.float32),)}},
        "is float32; uint16 is needed",
    ),
    "channels that differ": (
        {"MUnit_0": {"channels": (IMAGES, np.zeros((5, 9, 8), np.uint16))}},
        "differ in size",
    ),
    "an unknown unit of time": (
        {"MUnit_0": {"unit": "volts"}},
        "does not store its frame rate; give --rate-hz",
    ),
    "no period": (
        {"MUnit_0": {"ZAxisConversionConversionLinearScale": float("nan")}},
        "does not store its frame rate; give --rate-hz",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(write_file, case):
    units, words = REFUSED[case]
    with pytest.raises(RecordingError, match=words):
        open_recording(write_file(**units))


def test_a_file_that_is_not_hdf5_is_refused_with_a_reason(tmp_path):
    path = tmp_path / "broken.mesc"
    path.write_bytes(b"no HDF5")
    with pytest.raises(UserError, match="cannot be read"):
        open_recording(path)
