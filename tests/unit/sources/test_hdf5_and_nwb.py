"""`open_recording` reads the axes, planes and times of HDF5 and NWB files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from rtrecon.sources import RecordingError, RecordingHints, open_recording
from tests.support.recording_files import (
    PIXELS,
    RATE,
    RATE_HZ,
    SHAPE,
    write_nwb,
)


def write_dataset(folder: Path, data: np.ndarray) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["data"] = data
    return folder / "a.h5"


# axes -> movie of (6 times, 12 lines, 16 pixels), or of 3 times and 2 planes
AXES = {
    "tyx": PIXELS,
    "yxt": PIXELS.transpose(1, 2, 0),
    "xyt": PIXELS.transpose(2, 1, 0),
    "txy": PIXELS.transpose(0, 2, 1),
    "yxzt": PIXELS.reshape(3, 2, *SHAPE).transpose(2, 3, 1, 0),
    "tzyx": PIXELS.reshape(3, 2, *SHAPE),
}


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("is_chunked", [True, False])
def test_the_user_can_name_the_axes_of_a_dataset(tmp_path, axes, is_chunked):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=AXES[axes], chunks=is_chunked or None)
    hints = RecordingHints(rate_hz=RATE_HZ, axes=axes.upper())
    with open_recording(tmp_path / "a.h5", hints) as recording:
        assert recording.shape == SHAPE
        assert len(recording.planes) == (2 if "z" in axes else 1)
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


@pytest.mark.parametrize("shape", [(16, 16, 40), (12, 16, 100), (16, 12, 100)])
def test_a_dataset_whose_frames_seem_to_be_last_is_refused(tmp_path, shape):
    path = write_dataset(tmp_path, np.zeros(shape, np.int16))
    with pytest.raises(RecordingError, match="as if the frames are last; give --axes"):
        open_recording(path, RATE)
    with open_recording(path, RecordingHints(rate_hz=1.0, axes="yxt")) as recording:
        assert (recording.shape, recording.n_frames) == (shape[:2], shape[2])
    with open_recording(path, RecordingHints(rate_hz=1.0, axes="tyx")) as recording:
        assert (recording.shape, recording.n_frames) == (shape[1:], shape[0])


@pytest.mark.parametrize("axes", ["yx", "tyxz", "tyy", "abc"])
def test_axes_that_a_dataset_cannot_have_are_refused(tmp_path, axes):
    path = write_dataset(tmp_path, PIXELS)
    with pytest.raises(RecordingError, match=f"--axes {axes} does not name the axes"):
        open_recording(path, RecordingHints(rate_hz=1.0, axes=axes))


def test_timestamps_of_nwb_that_restart_are_continued(tmp_path):
    times = [0.0, 0.1, 0.2, 0.0, 0.1, 0.2]
    with open_recording(write_nwb(tmp_path, times=times)) as recording:
        found = [frame.t_s for frame in recording.frames()]
        assert "the first after frame 3" in recording.notice
    assert found == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_nwb_planes_and_timestamps_are_read(tmp_path):
    times = [1.0, 1.1, 1.3]
    with open_recording(write_nwb(tmp_path, planes=2, times=times)) as recording:
        frames = list(recording.frames())
        assert recording.planes == (0.0, 1.0)
        assert recording.rate_hz == pytest.approx(1 / 0.15)
    assert np.array_equal([frame.pixels for frame in frames], PIXELS)
    assert [frame.t_s for frame in frames] == pytest.approx(np.repeat(times, 2))
    assert [frame.plane for frame in frames] == [0, 1] * 3
