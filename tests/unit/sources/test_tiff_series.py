"""Movies whose channels, planes or times lie in several TIFF files."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from rtrecon.sources import RecordingError, RecordingHints, open_recording

SHAPE = (8, 10)
NO_RATE = RecordingHints(is_rate_required=False)


def write(path, *values: int, description: str | None = None) -> None:
    """Write one image for each value."""
    images = np.array(values, np.uint16)[:, None, None] * np.ones(SHAPE, np.uint16)
    tifffile.imwrite(
        path,
        images,
        photometric="minisblack",
        metadata=None,
        description=description,
    )


def read(path, hints=NO_RATE):
    """Return the recording's frames as (number, plane, channel, value), and itself."""
    with open_recording(path, hints) as recording:
        frames = list(recording.frames())
        assert recording.n_frames == len(frames)
    return [
        (f.number, f.plane, f.channel, int(f.pixels[0, 0])) for f in frames
    ], recording


def bruker(cycle: int, channel: int, number: int) -> str:
    return f"TSeries-001_Cycle{cycle:05d}_Ch{channel}_{number:06d}.ome.tif"


def test_one_file_per_image_of_prairie_view_is_one_movie(tmp_path):
    for t in range(4):
        for channel in (1, 2):
            write(tmp_path / bruker(1, channel, t + 1), 100 * channel + t)
    frames, recording = read(tmp_path)
    assert frames == [(t + 1, 0, c, 100 * c + t) for t in range(4) for c in (1, 2)]
    assert (recording.channels, recording.notice) == ((1, 2), "")
    assert recording.name == f"{bruker(1, 1, 1)} and 7 more"


def test_several_images_in_each_file_of_prairie_view_follow_each_other(tmp_path):
    for channel in (1, 2):
        for chunk in (0, 1):
            values = [100 * channel + 3 * chunk + k for k in range(3 - chunk)]
            write(tmp_path / bruker(1, channel, chunk + 1), *values)
    frames, _ = read(tmp_path)
    assert frames == [(t + 1, 0, c, 100 * c + t) for t in range(5) for c in (1, 2)]


@pytest.mark.parametrize("pattern", ["*_Ch2_*.ome.tif", "*_Ch2_*"])
def test_a_pattern_may_name_the_files_of_one_channel(tmp_path, pattern):
    for channel in (1, 2):
        for t in range(2):
            write(tmp_path / bruker(1, channel, t + 1), 10 * channel + t)
    assert read(tmp_path / pattern)[0] == [(1, 0, 2, 20), (2, 0, 2, 21)]
    hints = RecordingHints(channel=2, is_rate_required=False)
    assert read(tmp_path, hints)[0] == [(1, 0, 2, 20), (2, 0, 2, 21)]


def test_a_missing_image_of_one_channel_leaves_its_place_empty(tmp_path):
    for channel, times in ((1, (1, 2, 3)), (2, (1, 3))):
        for t in times:
            write(tmp_path / bruker(1, channel, t), 10 * channel + t)
    frames, _ = read(tmp_path)
    assert frames == [
        (1, 0, 1, 11),
        (1, 0, 2, 21),
        (2, 0, 1, 12),
        (3, 0, 1, 13),
        (3, 0, 2, 23),
    ]


def test_missing_images_leave_a_gap_in_the_count(tmp_path):
    for t in (1, 2, 5, 6):
        write(tmp_path / bruker(1, 1, t), t)
    frames, recording = read(tmp_path)
    values = [(number, value) for number, *_, value in frames]
    assert values == [(1, 1), (2, 2), (5, 5), (6, 6)]
    assert "2 file(s) seem to be missing" in recording.notice


PRAIRIE_XML = """<?xml version="1.0" encoding="utf-8"?>
<PVScan><PVStateShard><PVStateValue key="micronsPerPixel">
<IndexedValue index="XAxis" value="1.5"/></PVStateValue></PVStateShard>
{}</PVScan>"""


def write_prairie_xml(folder, kind: str, *sequences: list[float]) -> None:
    """Write the settings; sequences: the absolute times of the frames of each."""
    text = "".join(
        f'<Sequence type="{kind}">'
        + "".join(f'<Frame absoluteTime="{t}"/>' for t in times)
        + "</Sequence>"
        for times in sequences
    )
    (folder / "TSeries-001.xml").write_text(PRAIRIE_XML.format(text))


def test_the_settings_of_prairie_view_give_rate_and_scale(tmp_path):
    for t in range(3):
        write(tmp_path / bruker(1, 2, t + 1), t)
    write_prairie_xml(tmp_path, "TSeries Timed Element", [0.5, 0.6, 0.7])
    frames, recording = read(tmp_path, RecordingHints())
    assert [number for number, *_ in frames] == [1, 2, 3]
    assert recording.rate_hz == pytest.approx(10.0)
    assert recording.um_per_px == 1.5


def test_the_settings_of_prairie_view_tell_volumes(tmp_path):
    for cycle in (1, 2, 3):
        for plane in (1, 2):
            for c in (1, 2):
                write(tmp_path / bruker(cycle, c, plane), 100 * c + 10 * plane + cycle)
    times = [[0.5 * k, 0.5 * k + 0.1] for k in range(3)]
    write_prairie_xml(tmp_path, "TSeries ZSeries Element", *times)
    frames, recording = read(tmp_path, RecordingHints())
    assert frames == [
        (v, p - 1, c, 100 * c + 10 * p + v)
        for v in (1, 2, 3)
        for p in (1, 2)
        for c in (1, 2)
    ]
    assert recording.rate_hz == pytest.approx(2.0)


def test_files_of_thor_and_micro_manager_tell_channel_plane_and_time(tmp_path):
    names = {
        "thor": "Chan{}_001_001_{:03d}_{:03d}.tif",
        "manager": "img_channel{:03d}_position000_time{:09d}_z{:03d}.tif",
    }
    for folder in names:
        (tmp_path / folder).mkdir()
    for t in range(3):
        for p in range(2):
            for c, letter in enumerate("AC"):
                value = 100 * c + 10 * p + t
                thor = names["thor"].format(letter, p + 1, t + 1)
                write(tmp_path / "thor" / thor, value)
                write(tmp_path / "manager" / names["manager"].format(c, t, p), value)
    for folder, channels in (("thor", (1, 3)), ("manager", (1, 2))):
        frames, recording = read(tmp_path / folder)
        assert recording.channels == channels
        assert frames == [
            (t + 1, p, channels[c], 100 * c + 10 * p + t)
            for t in range(3)
            for p in range(2)
            for c in range(2)
        ]


def make_ome_xml(blocks: dict[str, tuple[int, int]]) -> str:
    """Return OME-XML of 2 channels; blocks: first channel and time in each file."""
    text = "".join(
        f'<TiffData IFD="0" FirstC="{c}" FirstT="{t}" FirstZ="0" PlaneCount="2">'
        f'<UUID FileName="{name}">urn:uuid:1</UUID></TiffData>'
        for name, (c, t) in blocks.items()
    )
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
        '2016-06"><Image ID="Image:0"><Pixels DimensionOrder="XYZTC" SizeX="10" '
        f'SizeY="8" SizeZ="1" SizeC="2" SizeT="4">{text}</Pixels></Image></OME>'
    )


def test_ome_xml_tells_what_is_in_files_of_any_name(tmp_path):
    blocks = {
        "run_1.tif": (0, 0),
        "run_2.tif": (0, 2),
        "run_3.tif": (1, 0),
        "run_4.tif": (1, 2),
    }
    text = make_ome_xml(blocks)
    for name, (c, t) in blocks.items():
        write(tmp_path / name, 10 * c + t, 10 * c + t + 1, description=text)
    frames, _ = read(tmp_path)
    assert frames == [(t + 1, 0, c + 1, 10 * c + t) for t in range(4) for c in range(2)]
    # The other files may name the one that holds the description.
    link = '<BinaryOnly MetadataFile="run_1.tif"/>'
    root = f'<?xml version="1.0"?><OME xmlns="x">{link}</OME>'
    for name, (c, t) in list(blocks.items())[1:]:
        write(tmp_path / name, 10 * c + t, 10 * c + t + 1, description=root)
    assert read(tmp_path)[0] == frames
    (tmp_path / "run_1.tif").rename(tmp_path / "run_0.tif")
    with pytest.raises(
        RecordingError, match=r"run_0.tif: .* describes 4 files, but not this one"
    ):
        read(tmp_path)


def test_channels_told_by_the_user_are_counted_through_all_files(tmp_path):
    write(tmp_path / "a_1.tif", 0, 1, 2)
    write(tmp_path / "a_2.tif", 3, 4, 5)
    hints = RecordingHints(is_rate_required=False, n_channels=2)
    frames, _ = read(tmp_path, hints)
    assert frames == [(k // 2 + 1, 0, k % 2 + 1, k) for k in range(6)]


def test_closed_series_cannot_be_read(tmp_path):
    for t in (1, 2):
        write(tmp_path / bruker(1, 1, t), t)
    with open_recording(tmp_path, NO_RATE) as recording:
        frames = recording.frames()
        next(frames)
    with pytest.raises(RecordingError, match="is closed"):
        next(frames)
