"""ScanImage files beyond the plain one: old versions, scan fields, several files."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from rtrecon import sources
from rtrecon.sources.recording import Hints, RecordingError
from rtrecon.sources.scan_fields import ScanField, box_of
from rtrecon.sources.series import followers, series_in
from rtrecon.sources.tiff import ScanImageTiff
from rtrecon.testing.scanimage_file import pages, write_scanimage

MROI = {"SI.hRoiManager.mroiEnable": "true"}
VOLUMES = {
    "SI.hFastZ.enable": "true",
    "SI.hStackManager.numSlices": "2",
    "SI.hStackManager.numFramesPerVolumeWithFlyback": "3",
}


def roi(name: str, lines: int, pixels: int = 16, **more: object) -> dict[str, object]:
    field = {"pixelResolutionXY": [pixels, lines]}
    return {"name": name, "enable": 1, "scanfields": field} | more


# -- versions before 2016: classic TIFF, settings in the text of every page ----------

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


def write_old(path, settings, stamp, pixels):
    with tifffile.TiffWriter(path) as tiff:
        for i, page in enumerate(pixels):
            text = stamp.format(i // 2 + 1, i // 2 / 20) + settings
            tiff.write(page, description=text, metadata=None, photometric="minisblack")
    return path


# version -> settings, stamps of each frame, planes, images of a volume, Hz
OLD = {
    "4": (VERSION_4, STAMP_4, (0.0,), 1, 20.0),
    "4, without times": (VERSION_4, "Frame Tag = {0}\n", (0.0,), 1, 15.0),
    "5.0, volumes": (VERSION_5, STAMP_4, (0.0, 30.0), 3, 20 / 3),
    "5.1": (VERSION_5_1, STAMP_5_1, (0.0,), 1, 20.0),
}


@pytest.mark.parametrize("version", OLD)
def test_versions_4_and_5_are_read(tmp_path, version):
    settings, stamp, planes, volume, rate_hz = OLD[version]
    pixels = pages(12)
    path = write_old(tmp_path / "a.tif", settings, stamp, pixels)
    with sources.open(path) as recording:
        frames = list(recording.frames())
        assert (recording.channels, recording.planes) == ((1, 2), planes)
        assert recording.rate_hz == pytest.approx(rate_hz)
        assert recording.n_frames == len(frames)
    kept = [i for i in range(6) if i % volume < len(planes)]
    assert [frame.number for frame in frames[::2]] == [1 + i // volume for i in kept]
    assert [frame.t_s for frame in frames[::2]] == pytest.approx(
        [i / (rate_hz * volume) for i in kept]
    )
    images = pixels.reshape(6, 2, 12, 16)[kept]
    assert np.array_equal([f.pixels for f in frames], images.reshape(-1, 12, 16))


def test_an_old_slow_stack_is_refused(tmp_path):
    slow = VERSION_4.replace("NumSlices = 1", "NumSlices = 7")
    path = write_old(tmp_path / "a.tif", slow, STAMP_4, pages(2))
    with pytest.raises(RecordingError, match="slow stack of 7 planes"):
        sources.open(path)


# -- several scan fields -------------------------------------------------------------

FIELDS = (ScanField("V1", (5, 16)), ScanField("LM", (3, 12)), ScanField("AL", (4, 16)))


def test_fields_lie_below_each_other_with_lines_of_flight_between():
    boxes = [box_of(FIELDS, field, (18, 16)) for field in FIELDS]
    assert boxes == [
        (slice(0, 5), slice(0, 16)),
        (slice(8, 11), slice(0, 12)),
        (slice(14, 18), slice(0, 16)),
    ]


@pytest.mark.parametrize("page", [(17, 16), (11, 16), (18, 15)])
def test_fields_that_do_not_fit_the_page_are_refused(page):
    with pytest.raises(RecordingError, match="5 x 16, 3 x 12, 4 x 16 do not fit"):
        box_of(FIELDS, FIELDS[0], page)


@pytest.mark.parametrize(
    ("name", "lines"), [(None, slice(0, 5)), ("V1", slice(0, 5)), ("LM", slice(7, 12))]
)
def test_one_field_is_read(tmp_path, name, lines):
    pixels = pages(4)
    rois = [roi("V1", 5), roi("off", 9, enable=0), roi("LM", 5, discretePlaneMode=0)]
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=MROI, rois=rois)
    with sources.open(path, Hints(field=name)) as recording:
        frames = list(recording.frames())
        assert recording.shape == (5, 16)
        assert ("of 2 scan fields V1 is read" in recording.notice) == (name is None)
    assert np.array_equal([frame.pixels for frame in frames], pixels[:, lines])
    assert {frame.roi for frame in frames} == {name or "V1"}
    assert all(frame.pixels.flags.c_contiguous for frame in frames)


def test_a_field_that_is_not_there_is_refused(tmp_path):
    rois = [roi("V1", 5), roi("LM", 5)]
    path = write_scanimage(tmp_path / "a.tif", pages(1), settings=MROI, rois=rois)
    with pytest.raises(
        RecordingError, match="no scan field 'S1'; its fields are V1, LM"
    ):
        sources.open(path, Hints(field="S1"))
    plain = write_scanimage(tmp_path / "b.tif", pages(1), rois=roi("Default", 12))
    with pytest.raises(RecordingError, match="its fields are one, which has no name"):
        sources.open(plain, Hints(field="S1"))


def test_a_field_that_changes_with_depth_is_refused(tmp_path):
    sizes = [{"pixelResolutionXY": [16, lines]} for lines in (4, 5)]
    rois = [roi("V1", 5), roi("LM", 5, scanfields=sizes)]
    path = write_scanimage(tmp_path / "a.tif", pages(1), settings=MROI, rois=rois)
    with pytest.raises(RecordingError, match="2 scan fields without a size for each"):
        sources.open(path)


# -- several files -------------------------------------------------------------------


def write_series(folder, names, numbers=None, settings=None):
    """Write two pages into each file; numbers: of the pages of each."""
    pixels = pages(2 * len(names))
    numbers = numbers or [(2 * k + 1, 2 * k + 2) for k in range(len(names))]
    for k, name in enumerate(names):
        stamps = [(number, number / 30) for number in numbers[k]]
        own = pixels[2 * k : 2 * k + 2]
        write_scanimage(folder / name, own, stamps, settings)
    return pixels


LOOP = ["m_00009.tif", "m_00010.tif", "m_00011.tif"]
PARTS = ["m_00001_00001.tif", "m_00001_00002.tif", "m_00002_00001.tif"]


@pytest.mark.parametrize("names", [LOOP, PARTS])
@pytest.mark.parametrize("by", ["", "m_*.tif"])
def test_a_series_is_one_recording(tmp_path, names, by):
    pixels = write_series(tmp_path, names)
    with sources.open(tmp_path / by) as recording:
        frames = list(recording.frames())
        assert recording.n_frames == 6
        assert recording.name == f"{names[0]} and 2 more"
        again = list(recording.frames())
    assert [frame.number for frame in frames] == list(range(1, 7))
    assert np.array_equal([frame.pixels for frame in frames], pixels)
    assert [frame.number for frame in again] == list(range(1, 7))


def test_files_that_count_anew_follow_each_other(tmp_path):
    write_series(tmp_path, LOOP, [(5, 6), (1, 2), (1, 4)])
    with sources.open(tmp_path) as recording:
        frames = list(recording.frames())
        period_s = 1 / recording.rate_hz
    assert [frame.number for frame in frames] == [5, 6, 7, 8, 9, 12]
    steps = np.diff([frame.t_s for frame in frames])
    assert steps == pytest.approx([period_s] * 4 + [3 / 30])


def test_a_volume_goes_on_in_the_next_file(tmp_path):
    # Two planes and a flyback, split after two images: the second begins with flyback.
    text = "frameNumberAcquisition = {}\n"
    pixels = pages(6)
    numbers = [(1, 2), (3, 4), (5, 6)]
    for k, name in enumerate([*PARTS[:2], "m_00001_00003.tif"]):
        stamps = [
            (f"{number}\n{text.format(number)}#", number / 30) for number in numbers[k]
        ]
        write_scanimage(tmp_path / name, pixels[2 * k : 2 * k + 2], stamps, VOLUMES)
    with sources.open(tmp_path) as recording:
        frames = list(recording.frames())
        assert recording.n_frames == 4
    assert [(f.number, f.plane) for f in frames] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert np.array_equal([f.pixels for f in frames], pixels[[0, 1, 3, 4]])


def test_a_cut_file_within_a_series_is_told(tmp_path):
    write_series(tmp_path, LOOP)
    path = tmp_path / LOOP[1]
    path.write_bytes(path.read_bytes()[:-1])
    with sources.open(tmp_path) as recording:
        assert [frame.number for frame in recording.frames()] == [1, 2, 3, 5, 6]
        assert "m_00010.tif is cut short" in recording.notice


def test_two_recordings_in_a_folder_are_refused_and_named(tmp_path):
    write_series(tmp_path, [*LOOP, "other_00001.tif"])
    with pytest.raises(RecordingError, match=r"2 recordings: m, other; .* 'm\*.tif'"):
        sources.open(tmp_path)
    assert [path.name for path in series_in(tmp_path, "m*.tif")] == LOOP
    with pytest.raises(RecordingError, match=r"no file x\*.tif is in"):
        sources.open(tmp_path / "x*.tif")


def test_a_file_of_another_size_is_refused(tmp_path):
    write_series(tmp_path, LOOP)
    write_scanimage(tmp_path / LOOP[2], pages(2, (4, 4)))
    with pytest.raises(
        RecordingError, match=r"00011.tif holds int16 4 x 4 .* int16 12"
    ):
        sources.open(tmp_path)


def test_a_single_file_in_a_folder_is_just_that(tmp_path):
    write_series(tmp_path, LOOP[:1])
    with sources.open(tmp_path) as recording:
        assert isinstance(recording, ScanImageTiff)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m_00009.tif", ["m_00010.tif"]),
        ("m_00001_00009.tif", ["m_00001_00010.tif", "m_00002_00001.tif"]),
        ("day_3_00001_00001.tif", ["day_3_00001_00002.tif", "day_3_00002_00001.tif"]),
        ("movie.tif", []),
    ],
)
def test_names_of_the_file_that_comes_next(tmp_path, name, expected):
    assert [path.name for path in followers(tmp_path / name)] == expected
