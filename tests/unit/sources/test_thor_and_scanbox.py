"""`open_recording` reads channels, planes and settings of Thor and Scanbox."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from rtrecon.sources import RecordingError, RecordingHints, open_recording
from tests.support.recording_files import (
    PIXELS,
    RATE_HZ,
    SHAPE,
    write_scanbox,
    write_thor,
)


def test_one_channel_of_several_is_read(tmp_path):
    with open_recording(
        write_scanbox(tmp_path), RecordingHints(channel=2)
    ) as recording:
        frames = list(recording.frames())
    assert np.array_equal([frame.pixels for frame in frames], PIXELS[1::2])
    with pytest.raises(
        RecordingError, match="channel 3 was not saved; choose from 1, 2"
    ):
        open_recording(tmp_path / "a.sbx", RecordingHints(channel=3))


def test_volumes_of_thor_are_read_without_flyback(tmp_path):
    path = write_thor(tmp_path, channels="B", steps=2, flyback=1, rate_hz=30.0)
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert (recording.planes, recording.rate_hz) == ((0.0, -20.0), 10.0)
    found = [(f.number, f.plane, f.channel) for f in frames]
    assert found == [(1, 0, 2), (1, 1, 2), (2, 0, 2), (2, 1, 2)]
    assert np.array_equal([f.pixels for f in frames], PIXELS[[0, 1, 3, 4]])


def test_a_focus_sweep_of_scanbox_is_read_as_planes(tmp_path):
    path = write_scanbox(tmp_path, 2, volscan=1, otwave=[0.0, 400.0, 800.0], scanmode=0)
    with open_recording(path) as recording:
        assert recording.planes == (0.0, 1.0, 2.0)
        assert recording.rate_hz == pytest.approx(2 * RATE_HZ / 3)
        planes = [(frame.number, frame.plane) for frame in recording.frames()]
    assert planes == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]


# info.chan.save of Scanbox 3 -> channels
SAVED_CHANNELS = {(1, 1, 0): (1, 2), (1, 0, 0): (1,), (0, 1, 0): (2,), (1,): (1,)}


@pytest.mark.parametrize("saved", SAVED_CHANNELS)
def test_scanbox_3_names_its_channels_in_another_field(tmp_path, saved):
    channels = SAVED_CHANNELS[saved]
    chan = {"save": list(saved), "nchan": len(channels)}
    path = write_scanbox(tmp_path, 1 if len(channels) == 2 else 2)
    info = {"sz": [12, 16], "resfreq": 12 * RATE_HZ, "scanmode": 1}
    savemat(tmp_path / "a.mat", {"info": info | {"channels": -1, "chan": chan}})
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert recording.channels == channels
    assert np.array_equal([frame.pixels for frame in frames], PIXELS)


def test_scanbox_3_without_its_channels_is_refused(tmp_path):
    path = write_scanbox(tmp_path, 2)
    info = {"sz": [12, 16], "resfreq": 240.0, "channels": -1}
    savemat(tmp_path / "a.mat", {"info": info})
    with pytest.raises(RecordingError, match=r"channels = -1 without chan\.save"):
        open_recording(path)


# settings of a focus sweep of 3 planes, or of none
SWEEPS = {
    "etl_table": ({"volscan": 1, "etl_table": [[1, 9], [2, 9], [3, 9]]}, 3),
    "etl_table as a list": ({"volscan": 1, "etl_table": [1.0, 2.0, 3.0]}, 3),
    "etl_table before otwave": (
        {"volscan": 1, "etl_table": [[1, 9], [2, 9], [3, 9]], "otwave": [1, 2]},
        3,
    ),
    "otparam": ({"volscan": 1, "otwave": [], "otparam": [0.0, 900.0, 3.0]}, 3),
    "no volscan": ({"etl_table": [[1, 9], [2, 9], [3, 9]]}, 3),
    "off": ({"volscan": 0, "etl_table": [[1, 9], [2, 9], [3, 9]]}, 1),
    "one position": ({"volscan": 1, "etl_table": [1.0], "otparam": []}, 1),
}


@pytest.mark.parametrize("case", SWEEPS)
def test_planes_of_scanbox_follow_from_its_focus_sweep(tmp_path, case):
    settings, n_planes = SWEEPS[case]
    with open_recording(write_scanbox(tmp_path, 2, **settings)) as recording:
        assert len(recording.planes) == n_planes
        assert [f.plane for f in recording.frames()][:3] == [
            k % n_planes for k in range(3)
        ]


@pytest.mark.parametrize(("channels", "n_stored"), [("A", 2), ("B", 2), ("AC", 4)])
@pytest.mark.parametrize("saves_all", [True, False])
def test_blank_channels_of_thor_are_left_out(tmp_path, channels, n_stored, saves_all):
    path = write_thor(tmp_path, channels=channels)
    settings = tmp_path / "Experiment.xml"
    option = f'<RawData onlyEnabledChannels="{int(not saves_all)}"/>'
    text = settings.read_text().replace("<LSM", f"{option}<LSM")
    settings.write_text(text)
    if saves_all:
        indices = ["ABCD".index(letter) for letter in channels]
        stored = np.zeros((6 // len(indices), n_stored, *SHAPE), "<u2")
        stored[:, indices] = PIXELS.reshape(-1, len(indices), *SHAPE)
        stored.tofile(path)
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert recording.channels == tuple("ABCD".index(c) + 1 for c in channels)
        assert recording.n_frames == len(frames)
    assert np.array_equal([frame.pixels for frame in frames], PIXELS)
