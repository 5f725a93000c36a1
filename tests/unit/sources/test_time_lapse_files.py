"""Time-lapses in TIFF files: scale, times of acquisition, colors, positions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from rtrecon.sources import RecordingError, RecordingHints, open_recording
from rtrecon.sources.series_names import parse_file_name

SHAPE = (16, 20)
MOMENTS = ("20120621 17:11:21.334", "20120621 17:23:21.334", "20120621 17:47:21.334")
TIMES_S = (0.0, 720.0, 2160.0)
META_SERIES = (
    '<MetaData><PlaneInfo><prop id="spatial-calibration-state" type="bool" value="on"/>'
    '<prop id="spatial-calibration-x" type="float" value="1.28"/>'
    '<prop id="spatial-calibration-units" type="string" value="um"/>'
    '<prop id="acquisition-time-local" type="time" value="{}"/>'
    "</PlaneInfo></MetaData>"
)


def make_image(value: int, dtype=np.uint16) -> np.ndarray:
    return np.full(SHAPE, value, dtype)


def write_page(path, image, **kind) -> None:
    kind = {"photometric": "minisblack", "metadata": None} | kind
    tifffile.imwrite(path, image, **kind)


def read(path, hints=None):
    """Return the frames as (number, time, channel, value), and the recording."""
    with open_recording(path, hints) as recording:
        frames = list(recording.frames())
    found = [(f.number, f.t_s, f.channel, int(f.pixels[0, 0])) for f in frames]
    return found, recording


def test_files_of_meta_morph_tell_channel_position_time_and_scale(tmp_path):
    for t, moment in enumerate(MOMENTS, 1):
        for channel, label in ((1, "GFP"), (2, "Cherry conf")):
            for position in (1, 3):
                value = 100 * position + 10 * channel + t
                name = f"exp_w{channel}{label}_s{position}_t{t}.TIF"
                write_page(
                    tmp_path / name,
                    make_image(value),
                    description=META_SERIES.format(moment),
                    software="MetaSeries",
                )
    with pytest.raises(RecordingError, match=r"2 recordings: .*give --position 1"):
        open_recording(tmp_path)
    found, recording = read(tmp_path, RecordingHints(position=3))
    assert found == [
        (t, TIMES_S[t - 1], channel, 300 + 10 * channel + t)
        for t in (1, 2, 3)
        for channel in (1, 2)
    ]
    assert recording.um_per_px == pytest.approx(1.28)
    assert recording.rate_hz == pytest.approx(1 / 1080)  # the median interval
    with pytest.raises(RecordingError, match=r"position 2; positions: 1, 3"):
        open_recording(tmp_path, RecordingHints(position=2))


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("a_w1GFP_s3_t12", ("a_s3", (12,), 1, 3)),
        ("a_w2_t7", ("a", (7,), 2, None)),
        ("day 1_s10_t001", ("day 1_s10", (1,), 1, 10)),
        ("img_channel001_position002_time000000009_z000", ("position2", (9,), 2, 2)),
    ],
)
def test_the_name_of_a_file_tells_channel_position_and_time(tmp_path, name, facts):
    file = parse_file_name(tmp_path / f"{name}.TIF")
    series, counters, channel, position = facts
    assert (file.counters, file.channel, file.position) == (counters, channel, position)
    assert file.name.replace("position00", "position") == series


def test_the_times_of_the_pages_count_and_a_pause_is_mentioned(tmp_path):
    moments = ["2026:01:01 10:00:00", "2026:01:01 10:12:00", "2026:01:01 10:24:00"]
    moments.append("2026:01:01 11:00:00")
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for value, moment in enumerate(moments):
            kind = {"photometric": "minisblack", "metadata": None}
            file.write(make_image(value), datetime=moment, **kind)
    found, recording = read(tmp_path / "a.tif")
    assert [t_s for _, t_s, _, _ in found] == [0.0, 720.0, 1440.0, 3600.0]
    assert "1 time(s) longer, at most 36 min" in recording.notice
    found, recording = read(tmp_path / "a.tif", RecordingHints(rate_hz=0.01))
    assert [t_s for _, t_s, _, _ in found] == [0.0, 100.0, 200.0, 300.0]
    assert "longer" not in recording.notice


def test_times_that_go_back_are_not_used(tmp_path):
    moments = ["2026:01:01 10:00:00", "2026:01:01 10:12:00", "2026:01:01 09:24:00"]
    for number, moment in enumerate(moments):
        write_page(tmp_path / f"a_t{number}.tif", make_image(number), datetime=moment)
    with pytest.raises(RecordingError, match="does not store its frame rate"):
        open_recording(tmp_path)
    found, _ = read(tmp_path, RecordingHints(rate_hz=0.01))
    assert [t_s for _, t_s, _, _ in found] == [0.0, 100.0, 200.0]


OME = """<?xml version="1.0"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="20" SizeY="16"
SizeC="1" SizeT="3" SizeZ="1" PhysicalSizeX="650" PhysicalSizeXUnit="nm">
<TiffData IFD="0" PlaneCount="3"/>
<Plane TheC="0" TheT="0" TheZ="0" DeltaT="0" DeltaTUnit="min"/>
<Plane TheC="0" TheT="1" TheZ="0" DeltaT="12" DeltaTUnit="min"/>
<Plane TheC="0" TheT="2" TheZ="0" DeltaT="36" DeltaTUnit="min"/>
</Pixels></Image></OME>"""


def test_ome_xml_tells_the_time_of_each_image_and_the_scale(tmp_path):
    path = tmp_path / "a.ome.tif"
    images = np.stack([make_image(k) for k in range(3)])
    write_page(path, images, description=OME)
    found, recording = read(path)
    assert [t_s for _, t_s, _, _ in found] == list(TIMES_S)
    assert recording.um_per_px == pytest.approx(0.65)


def test_imagej_tells_scale_and_interval(tmp_path):
    images = np.stack([make_image(k) for k in range(3)])
    kind = {"imagej": True, "resolution": (2.0, 2.0)}
    metadata = {"unit": "um", "finterval": 600.0, "axes": "TYX", "tunit": "sec"}
    tifffile.imwrite(tmp_path / "a.tif", images, metadata=metadata, **kind)
    found, recording = read(tmp_path / "a.tif")
    assert recording.um_per_px == pytest.approx(0.5)
    assert [t_s for _, t_s, _, _ in found] == pytest.approx([0.0, 600.0, 1200.0])


def test_a_single_image_of_micro_manager_tells_time_and_scale(tmp_path):
    for t, t_s in enumerate(TIMES_S):
        text = json.dumps({"ElapsedTime-ms": 1000 * t_s, "PixelSizeUm": 0.65})
        name = f"img_channel000_position000_time{t:09d}_z000.tif"
        tag = (51123, "s", 0, text, True)
        write_page(tmp_path / name, make_image(t), extratags=[tag])
    found, recording = read(tmp_path)
    assert [t_s for _, t_s, _, _ in found] == list(TIMES_S)
    assert recording.um_per_px == pytest.approx(0.65)


@pytest.mark.parametrize(
    ("dpi", "um_per_px"), [(25400.0, 1.0), (72.0, None), (300.0, None)]
)
def test_a_resolution_of_screens_and_printers_is_no_scale(tmp_path, dpi, um_per_px):
    images = np.stack([make_image(k) for k in range(2)])
    kind = {"resolution": (dpi, dpi), "resolutionunit": "INCH"}
    write_page(tmp_path / "a.tif", images, **kind)
    _, recording = read(tmp_path / "a.tif", RecordingHints(rate_hz=1.0))
    assert recording.um_per_px == (None if um_per_px is None else pytest.approx(1.0))
    hints = RecordingHints(rate_hz=1.0, um_per_px=0.7)
    assert read(tmp_path / "a.tif", hints)[1].um_per_px == 0.7


@pytest.mark.parametrize(
    ("dtype", "colors", "gray", "words"),
    [
        (np.uint8, (10, 250, 30), 290, "gray is the sum of red, green and blue"),
        (np.uint8, (40, 40, 40), 40, "its pictures are gray, stored in color"),
        (np.uint16, (0, 60000, 30), 20010, "gray is the mean of red, green and blue"),
    ],
)
def test_colors_become_gray_by_a_rule_that_is_told(
    tmp_path, dtype, colors, gray, words
):
    images = np.empty((2, *SHAPE, 3), dtype)
    images[:] = colors
    write_page(tmp_path / "a.tif", images, photometric="rgb")
    found, recording = read(tmp_path / "a.tif", RecordingHints(rate_hz=0.01))
    assert [value for *_, value in found] == [gray, gray]
    assert recording.dtype == np.uint16
    assert words in recording.notice


def test_eight_bits_become_uint16_without_loss(tmp_path):
    images = np.arange(2 * 16 * 20).reshape(2, *SHAPE).astype(np.uint8)
    write_page(tmp_path / "a.tif", images)
    with open_recording(tmp_path / "a.tif", RecordingHints(rate_hz=0.01)) as recording:
        frames = [frame.pixels for frame in recording.frames()]
    assert frames[0].dtype == np.uint16
    np.testing.assert_array_equal(frames, images)


def test_a_change_of_the_binning_is_explained(tmp_path):
    for number, shape in enumerate([SHAPE, (8, 10)]):
        image, moment = np.zeros(shape, np.uint16), MOMENTS[number]
        tag = (306, "s", 0, moment, True)
        write_page(tmp_path / f"a_w1_t{number}.tif", image, extratags=[tag])
    with (
        open_recording(tmp_path) as recording,
        pytest.raises(RecordingError, match="was the binning or the field changed"),
    ):
        list(recording.frames())
