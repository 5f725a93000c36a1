"""Volumes of ScanImage: settings that are stale, repeated images, slow stacks."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.sources import RecordingError, RecordingHints, open_recording
from rtrecon.sources.growing_tiff import GrowingTiff
from rtrecon.sources.reference_stack import read_stack
from rtrecon.testing.scanimage_file import write_scanimage

N_VOLUMES, SHAPE = 4, (12, 16)
FLYBACK = 30_000


def write_volumes(
    path, settings: dict[str, object], n_planes: int, repeats: int = 1, flyback: int = 0
):
    """Write a file; image values: 1000 per plane, 10 per volume, 2 per repeat."""
    values = []
    for volume in range(N_VOLUMES):
        for plane in range(n_planes):
            values += [1000 * plane + 10 * volume + 2 * k for k in range(repeats)]
        values += [FLYBACK] * flyback
    pages = np.array(values, np.int16)[:, None, None] * np.ones(SHAPE, np.int16)
    stamps = [(k + 1, k / 30) for k in range(len(pages))]
    text = {f"SI.{name}": str(value) for name, value in settings.items()}
    return write_scanimage(path, pages, stamps, text)


def make_settings(slices: object, actual: object, shown: object, whole: object, **more):
    """Return the settings of a stack; None leaves a setting out."""
    settings = {
        "hFastZ.enable": "true",
        "hStackManager.enable": "true",
        "hStackManager.stackMode": "'fast'",
        "hStackManager.framesPerSlice": 60,
        "hStackManager.numSlices": slices,
        "hStackManager.actualNumSlices": actual,
        "hStackManager.numFramesPerVolume": shown,
        "hStackManager.numFramesPerVolumeWithFlyback": whole,
        "hFastZ.numDiscardFlybackFrames": more.get("discarded", 1),
        "hStackManager.zs": more.get("zs", "[0 15 30]"),
    }
    return {name: value for name, value in settings.items() if value is not None}


# settings of volumes of 3 planes and 1 flyback image
THREE_PLANES = {
    "all agree": make_settings(3, 3, 3, 4),
    "more slices were entered": make_settings(11, 3, 3, 4),
    "fewer slices were entered": make_settings(2, 3, 3, 4),
    "an older version": make_settings(3, None, 3, 4),
    "an older version with stale slices": make_settings(11, None, 3, 4),
    "without counts of images": make_settings(3, 3, None, None),
    "without the count of planes' images": make_settings(3, 3, None, 4),
    "one depth of several actuators": make_settings(3, 3, 3, 4, zs="[0 1;15 1;30 1]"),
}


@pytest.mark.parametrize("case", THREE_PLANES)
def test_the_planes_that_were_scanned_are_read(tmp_path, case):
    path = write_volumes(tmp_path / "a.tif", THREE_PLANES[case], 3, flyback=1)
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert recording.planes == (0.0, 15.0, 30.0)
        assert recording.n_frames == len(frames)
        assert recording.rate_hz == pytest.approx(7.5)
    assert [(f.number, f.plane, int(f.pixels[0, 0])) for f in frames] == [
        (v + 1, p, 1000 * p + 10 * v) for v in range(N_VOLUMES) for p in range(3)
    ]


def make_settings_of_one_plane(**changes: object) -> dict[str, object]:
    names = {"mode": "stackMode", "actual": "actualNumSlices", "slices": "numSlices"}
    return {
        "hFastZ.enable": "false",
        "hStackManager.enable": "false",
        "hStackManager.framesPerSlice": 60,
    } | {f"hStackManager.{names[key]}": value for key, value in changes.items()}


@pytest.mark.parametrize(
    "changes",
    [
        {"slices": 31, "mode": "'fast'", "actual": 1},
        {"slices": 4, "mode": "'fast'"},
        {"slices": 31, "mode": "'slow'"},
    ],
)
def test_settings_of_a_stack_that_is_off_are_ignored(tmp_path, changes):
    settings = make_settings_of_one_plane(**changes)
    path = write_volumes(tmp_path / "a.tif", settings, 1)
    with open_recording(path) as recording:
        assert recording.planes == (0.0,)
        assert [f.number for f in recording.frames()] == [1, 2, 3, 4]


REPEATED = make_settings(2, 2, 4, 5, zs="[0 15]")
SLOW = {
    "hFastZ.enable": "false",
    "hStackManager.enable": "true",
    "hStackManager.stackMode": "'slow'",
    "hStackManager.numSlices": 2,
    "hStackManager.framesPerSlice": 2,
    "hStackManager.numVolumes": N_VOLUMES,
    "hStackManager.zs": "[0 15]",
}


@pytest.mark.parametrize(("settings", "flyback"), [(REPEATED, 1), (SLOW, 0)])
@pytest.mark.parametrize("is_growing", [False, True])
def test_repeated_images_of_a_plane_are_averaged(
    tmp_path, settings, flyback, is_growing
):
    path = write_volumes(tmp_path / "a.tif", settings, 2, repeats=2, flyback=flyback)
    opened = GrowingTiff(path, RecordingHints()) if is_growing else open_recording(path)
    with opened as recording:
        frames = list(recording.frames())
        assert recording.planes == (0.0, 15.0)
        assert recording.n_frames in (None, len(frames))
        assert "each volume has 2 images of each plane; their mean" in recording.notice
    assert [(f.number, f.plane, int(f.pixels[0, 0])) for f in frames] == [
        (v + 1, p, 1000 * p + 10 * v + 1) for v in range(N_VOLUMES) for p in (0, 1)
    ]


def test_a_slow_stack_that_was_not_repeated_is_refused(tmp_path):
    settings = SLOW | {"hStackManager.numVolumes": 1}
    path = write_volumes(tmp_path / "a.tif", settings, 2, repeats=2)
    with pytest.raises(RecordingError, match="a slow stack of 2 planes"):
        open_recording(path)


def test_a_reference_stack_has_the_planes_that_were_scanned(tmp_path):
    more = {"numVolumes": 1, "numSlices": 31, "actualNumSlices": 2}
    settings = SLOW | {f"hStackManager.{name}": n for name, n in more.items()}
    path = write_volumes(tmp_path / "a.tif", settings, 2, repeats=2)
    planes, step_um = read_stack(path)
    assert (len(planes), step_um) == (2, 15.0)
    assert planes[1].mean() - planes[0].mean() == pytest.approx(1000)


def test_a_channel_order_of_the_file_is_kept_in_averages(tmp_path):
    settings = REPEATED | {"hChannels.channelSave": "[1;3]"}
    path = tmp_path / "a.tif"
    values = np.array([10, 100, 12, 102, 20, 200, 22, 202], np.int16)
    pages = values[:, None, None] * np.ones(SHAPE, np.int16)
    stamps = [(k // 2 + 1, k // 2 / 30) for k in range(8)]
    text = {f"SI.{name}": str(value) for name, value in settings.items()}
    write_scanimage(path, pages, stamps, text)
    with open_recording(path) as recording:
        found = [(f.plane, f.channel, int(f.pixels[0, 0])) for f in recording.frames()]
    assert found == [(0, 1, 11), (0, 3, 101), (1, 1, 21), (1, 3, 201)]
