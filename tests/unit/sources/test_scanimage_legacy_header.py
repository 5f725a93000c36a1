"""ScanImage files before 2016: classic TIFF, settings in the text of every page."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from rtrecon.sources import RecordingError, open_recording
from rtrecon.testing.scanimage_file import make_pages

VERSION_4 = """scanimage.SI4.channelsSave = [1;2]
scanimage.SI4.scanFrameRate = 15
scanimage.SI4.stackNumSlices = 1
scanimage.SI4.acqNumFrames = 100
scanimage.SI4.fastZEnable = 0"""
VERSION_5 = """scanimage.SI5.channelsSave = [1;2]
scanimage.SI5.scanFramePeriod = 0.05
scanimage.SI5.acqNumAveragedFrames = 1
scanimage.SI5.stackNumSlices = 2
scanimage.SI5.stackZStepSize = 30
scanimage.SI5.fastZEnable = true
scanimage.SI5.fastZDiscardFlybackFrames = true
scanimage.SI5.fastZNumDiscardFrames = 1"""
VERSION_5_1 = """scanimage.SI.hChannels.channelSave = [1;2]
scanimage.SI.hRoiManager.scanFrameRate = 20
scanimage.SI.hStackManager.framesPerSlice = 3"""
STAMP_4 = "Frame Number = {0}\nFrame Timestamp(s) = {1:25.9f}\n"
STAMP_5_1 = "frameNumbers = {0}\nframeTimestamps_sec = {1:.9f}\n"


def write_legacy(path, settings, stamp, pixels):
    with tifffile.TiffWriter(path) as tiff:
        for i, page in enumerate(pixels):
            text = stamp.format(i // 2 + 1, i // 2 / 20) + settings
            tiff.write(page, description=text, metadata=None, photometric="minisblack")
    return path


# version -> settings, stamp of each frame, planes, images per volume, rate in Hz
VERSIONS = {
    "4": (VERSION_4, STAMP_4, (0.0,), 1, 20.0),
    "4, without times": (VERSION_4, "Frame Tag = {0}\n", (0.0,), 1, 15.0),
    "5.0, volumes": (VERSION_5, STAMP_4, (0.0, 30.0), 3, 20 / 3),
    "5.1": (VERSION_5_1, STAMP_5_1, (0.0,), 1, 20.0),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_4_and_5_are_read(tmp_path, version):
    settings, stamp, planes, images_per_volume, rate_hz = VERSIONS[version]
    pixels = make_pages(12)
    path = write_legacy(tmp_path / "a.tif", settings, stamp, pixels)
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert (recording.channels, recording.planes) == ((1, 2), planes)
        assert recording.rate_hz == pytest.approx(rate_hz)
        assert recording.n_frames == len(frames)
    imaged = [i for i in range(6) if i % images_per_volume < len(planes)]
    assert [frame.number for frame in frames[::2]] == [
        1 + i // images_per_volume for i in imaged
    ]
    assert [frame.t_s for frame in frames[::2]] == pytest.approx(
        [i / (rate_hz * images_per_volume) for i in imaged]
    )
    images = pixels.reshape(6, 2, 12, 16)[imaged]
    assert np.array_equal([f.pixels for f in frames], images.reshape(-1, 12, 16))


def test_a_legacy_slow_stack_is_refused(tmp_path):
    slow = VERSION_4.replace("NumSlices = 1", "NumSlices = 7")
    path = write_legacy(tmp_path / "a.tif", slow, STAMP_4, make_pages(2))
    with pytest.raises(RecordingError, match="slow stack of 7 planes"):
        open_recording(path)
