"""Channels, planes and times of TIFF files, from what the writing program stored."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import tifffile

from rtrecon.sources import RecordingError, RecordingHints, open_recording

N_TIMES, N_CHANNELS, N_PLANES, SHAPE = 5, 2, 3, (8, 10)
HINTS = RecordingHints(rate_hz=10.0)


def make_images(*sizes: int) -> np.ndarray:
    """Return images (*sizes, lines, pixels); each has one value, counted from 0."""
    values = np.arange(np.prod(sizes), dtype=np.uint16).reshape(*sizes, 1, 1)
    return np.broadcast_to(values, (*sizes, *SHAPE)).copy()


def write(path, axes: str, **kind):
    """Write a stack with these axes (of T, Z, C), the slowest first."""
    sizes = {"T": N_TIMES, "Z": N_PLANES, "C": N_CHANNELS}
    images = make_images(*(sizes[axis] for axis in axes))
    kind = {"photometric": "minisblack", "metadata": {"axes": f"{axes}YX"}} | kind
    tifffile.imwrite(path, images, **kind)
    return path


def read(path, hints=HINTS):
    """Return the recording's frames as (number, plane, channel, value), and itself."""
    with open_recording(path, hints) as recording:
        frames = list(recording.frames())
        assert recording.n_frames == len(frames)
    assert all((f.pixels == f.pixels[0, 0]).all() for f in frames)
    assert [f.t_s for f in frames] == pytest.approx(
        [(f.number - 1) / 10 for f in frames]
    )
    return [
        (f.number, f.plane, f.channel, int(f.pixels[0, 0])) for f in frames
    ], recording


def expect(axes: str) -> list[tuple[int, int, int, int]]:
    """Return what `read` returns of a file that `write` wrote with these axes."""
    sizes = {"T": N_TIMES, "Z": N_PLANES, "C": N_CHANNELS}
    values = np.arange(np.prod([sizes[a] for a in axes])).reshape(
        [sizes[a] for a in axes]
    )
    missing = [axis for axis in "TZC" if axis not in axes]
    by_tzc = values[(..., *[None] * len(missing))]
    order = [(axes + "".join(missing)).index(axis) for axis in "TZC"]
    return [
        (t + 1, plane, channel + 1, int(value))
        for (t, plane, channel), value in np.ndenumerate(by_tzc.transpose(order))
    ]


FORMATS = {
    "ImageJ": ("a.tif", {"imagej": True}),
    "OME": ("a.ome.tif", {}),
    "compressed OME": ("a.ome.tif", {"compression": "zlib"}),
    "tifffile": ("a.tif", {}),
}


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("axes", ["T", "TC", "TZ", "TZC"])
def test_channels_and_planes_are_read_as_the_file_names_them(
    tmp_path, format_name, axes
):
    name, kind = FORMATS[format_name]
    frames, recording = read(write(tmp_path / name, axes, **kind))
    assert frames == expect(axes)
    assert recording.channels == ((1, 2) if "C" in axes else (1,))
    assert len(recording.planes) == (N_PLANES if "Z" in axes else 1)
    assert recording.notice == ""


@pytest.mark.parametrize("axes", ["CT", "ZCT", "TCZ"])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_the_order_of_the_axes_is_that_of_the_file(tmp_path, name, axes):
    frames, _ = read(write(tmp_path / name, axes))
    assert frames == expect(axes)


def test_imagej_may_store_another_order_of_axes(tmp_path):
    images = make_images(N_CHANNELS * N_TIMES)
    text = "ImageJ=1.53t\nimages=10\nchannels=2\nframes=5\norder=tcz\nhyperstack=true\n"
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, images, description=text, metadata=None)
    assert read(path)[0] == expect("CT")


def test_one_channel_of_an_imagej_stack_is_read(tmp_path):
    path = write(tmp_path / "a.tif", "TC", imagej=True)
    frames, _ = read(path, RecordingHints(channel=2, rate_hz=10.0))
    assert [(n, channel, value) for n, _, channel, value in frames] == [
        (t + 1, 2, 2 * t + 1) for t in range(N_TIMES)
    ]
    with pytest.raises(
        RecordingError, match="channel 3 was not saved; choose from 1, 2"
    ):
        read(path, RecordingHints(channel=3, rate_hz=10.0))


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_the_frame_interval_of_the_file_gives_the_rate(tmp_path, name):
    metadata = {"axes": "TYX", "finterval": 0.1}
    kind = {"imagej": True}
    if name == "a.ome.tif":
        metadata = {"axes": "TYX", "TimeIncrement": 100, "TimeIncrementUnit": "ms"}
        kind = {}
    write(tmp_path / name, "T", metadata=metadata, **kind)
    _, recording = read(tmp_path / name, RecordingHints())
    assert recording.rate_hz == pytest.approx(10.0)


def test_the_distance_of_planes_is_read(tmp_path):
    metadata = {"axes": "TZYX", "spacing": 15.0}
    path = write(tmp_path / "a.tif", "TZ", imagej=True, metadata=metadata)
    assert read(path)[1].planes == (0.0, 15.0, 30.0)


def test_slices_of_a_single_time_are_read_as_times_and_the_notice_says_so(tmp_path):
    """Fiji calls the images of a movie slices, unless the user says otherwise."""
    path = tmp_path / "a.tif"
    images = make_images(N_TIMES)
    tifffile.imwrite(path, images, imagej=True, metadata={"axes": "ZYX"})
    frames, recording = read(path)
    assert frames == expect("T")
    assert "calls its images 5 planes (slices) of one time" in recording.notice
    both = make_images(N_TIMES, N_CHANNELS)
    tifffile.imwrite(path, both, imagej=True, metadata={"axes": "ZCYX"})
    assert read(path)[0] == expect("TC")


def test_many_channels_of_a_single_time_are_read_as_times(tmp_path):
    """tifffile writes this if nobody names the axes."""
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, make_images(N_TIMES), photometric="minisblack")
    frames, recording = read(path)
    assert frames == expect("T")
    assert "calls its images 5 channels of one time" in recording.notice


def test_a_file_that_tells_nothing_is_one_channel_and_the_notice_says_so(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, make_images(N_TIMES), metadata=None)
    frames, recording = read(path)
    assert frames == expect("T")
    assert "does not describe its images; they are read as" in recording.notice
    assert "--n-channels" in recording.notice


def test_the_user_can_tell_channels_and_planes(tmp_path):
    path = tmp_path / "a.tif"
    images = make_images(N_TIMES * N_PLANES * N_CHANNELS)
    tifffile.imwrite(path, images, metadata=None)
    hints = RecordingHints(rate_hz=10.0, n_channels=N_CHANNELS, n_planes=N_PLANES)
    frames, recording = read(path, hints)
    assert frames == expect("TZC")
    assert recording.notice == ""


@pytest.mark.parametrize("n_channels", [-1, -2])
def test_an_impossible_number_of_channels_is_refused(tmp_path, n_channels):
    path = write(tmp_path / "a.tif", "T")
    with pytest.raises(RecordingError, match="impossible; give 1 or more"):
        read(path, RecordingHints(rate_hz=10.0, n_channels=n_channels))


@pytest.mark.parametrize("n_left", [7, 6, 1])
def test_a_stack_that_was_cut_keeps_its_channels(tmp_path, n_left):
    """Someone stopped the acquisition: the description names more images."""
    text = "ImageJ=1.53t\nimages=10\nchannels=2\nframes=5\nhyperstack=true\n"
    path = tmp_path / "a.tif"
    images = make_images(n_left)
    tifffile.imwrite(path, images, description=text, metadata=None)
    assert read(path)[0] == expect("TC")[:n_left]


# what is wrong -> (sizes, axes), words of the error
REFUSED = {
    "unnamed axes": ((5, 2), None, r"shape is \[5, 2, 8, 10\], .* --n-channels"),
    "two unknown axes": ((5, 2), "PQYX", "its axes are PQYX; times"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_axes_that_cannot_be_known_are_refused(tmp_path, case):
    sizes, axes, words = REFUSED[case]
    metadata = {"axes": axes} if axes else {}
    path = tmp_path / "a.tif"
    kind = {"photometric": "minisblack", "metadata": metadata}
    tifffile.imwrite(path, make_images(*sizes), **kind)
    with pytest.raises(RecordingError, match=words):
        read(path)
    hints = RecordingHints(rate_hz=10.0, n_channels=2)
    assert read(path, hints)[0] == expect("TC")


def test_damaged_ome_xml_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "a.ome.tif"
    text = '<?xml version="1.0"?><OME xmlns="x"><Image></OME>'
    tifffile.imwrite(path, make_images(5), description=text, metadata=None)
    with pytest.raises(RecordingError, match="its OME-XML cannot be read"):
        read(path)


def write_mm_stack(path, indices, images) -> None:
    """Write a file as Micro-Manager does: summary first, index of the images last.

    indices: (channel, slice, frame, position) of each image.
    """
    summary = json.dumps({"Frames": 9, "z-step_um": 4.0}).encode()
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for image in images:
            tags = [(51123, "s", 0, json.dumps({"ElapsedTime": 0}), True)]
            tiff.write(image, extratags=tags, metadata=None, contiguous=False)
    with tifffile.TiffFile(path) as tiff:
        offsets = [page.offset for page in tiff.pages]
    content = bytearray(path.read_bytes())
    # The header of 40 bytes and the summary go before the first page.
    shift = 32 + len(summary) + len(summary) % 2
    raise_offsets(content, shift, offsets)
    index_at = len(content) + shift
    head = struct.pack(
        "<8I", 54773648, index_at, 483765892, 0, 99384722, 0, 2355492, len(summary)
    )
    body = head + summary + b" " * (len(summary) % 2)
    rows = [
        struct.pack("<5I", *i, o + shift) for i, o in zip(indices, offsets, strict=True)
    ]
    index = struct.pack("<2I", 3453623, len(rows)) + b"".join(rows)
    path.write_bytes(bytes(content[:8]) + body + bytes(content[8:]) + index)


def raise_offsets(content: bytearray, shift: int, offsets: list[int]) -> None:
    """Add `shift` to all offsets in a classic TIFF file."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8}
    (first,) = struct.unpack_from("<I", content, 4)
    struct.pack_into("<I", content, 4, first + shift)
    for start in offsets:
        (n_tags,) = struct.unpack_from("<H", content, start)
        for k in range(n_tags):
            at = start + 2 + 12 * k
            tag, kind, count, value = struct.unpack_from("<HHII", content, at)
            if sizes[kind] * count > 4 or tag == 273:
                struct.pack_into("<I", content, at + 8, value + shift)
        at = start + 2 + 12 * n_tags
        (following,) = struct.unpack_from("<I", content, at)
        if following:
            struct.pack_into("<I", content, at, following + shift)


def test_the_index_of_micro_manager_tells_channels_and_slices(tmp_path):
    # (channel, slice, frame, position): the channel changes last
    order = [(c, z, t, 0) for t in range(5) for c in range(2) for z in range(3)]
    images = make_images(len(order))
    write_mm_stack(tmp_path / "a_MMStack_Pos0.ome.tif", order, images)
    frames, recording = read(tmp_path)
    assert frames == expect("TCZ")
    assert recording.planes == (0.0, 4.0, 8.0)


def test_only_the_first_stage_position_of_micro_manager_is_read(tmp_path):
    order = [(0, 0, t, p) for t in range(5) for p in range(2)]
    write_mm_stack(tmp_path / "a_MMStack.ome.tif", order, make_images(len(order)))
    frames, recording = read(tmp_path / "a_MMStack.ome.tif")
    assert frames == [(t + 1, 0, 1, 2 * t) for t in range(5)]
    assert "holds 2 stage positions; the first is read" in recording.notice


def test_a_movie_of_micro_manager_may_continue_in_a_second_file(tmp_path):
    order = [(c, 0, t, 0) for t in range(5) for c in range(2)]
    images = make_images(len(order))
    for name, part in (
        ("x_MMStack_Pos0", slice(0, 5)),
        ("x_MMStack_Pos0_1", slice(5, 10)),
    ):
        write_mm_stack(tmp_path / f"{name}.ome.tif", order[part], images[part])
    assert read(tmp_path)[0] == expect("TC")
    assert read(tmp_path / "x_MMStack*.tif")[0] == expect("TC")


def write_ndtiff(folder, name, axes, images) -> None:
    """Write a file as NDTiff 3 does, and add its images to NDTiff.index."""
    with tifffile.TiffWriter(folder / name, byteorder="<") as tiff:
        for image in images:
            tags = [(51123, "s", 0, json.dumps({"Axes": {}}), True)]
            tiff.write(image, extratags=tags, metadata=None, contiguous=False)
    with tifffile.TiffFile(folder / name) as tiff:
        offsets = [page.offset for page in tiff.pages]
    content = bytearray((folder / name).read_bytes())
    summary = b"{ }"
    head = struct.pack("<5I", 483729, 3, 0, 2355492, len(summary)) + summary + b" "
    raise_offsets(content, len(head), offsets)
    (folder / name).write_bytes(bytes(content[:8]) + head + bytes(content[8:]))
    with (folder / "NDTiff.index").open("ab") as index:
        for each in axes:
            text = json.dumps(each).encode()
            index.write(struct.pack("<I", len(text)) + text)
            index.write(struct.pack("<I", len(name)) + name.encode())
            index.write(struct.pack("<8i", 0, *SHAPE[::-1], 1, 0, 0, 0, 0))


def test_the_index_of_ndtiff_tells_channels_and_planes_of_all_files(tmp_path):
    axes = [
        {"time": t, "z": z, "channel": c, "position": 0}
        for t in range(5)
        for z in (-1, 0, 1)
        for c in ("GCaMP", "tdTomato")
    ]
    images = make_images(len(axes))
    parts = {"x_NDTiffStack.tif": slice(0, 11), "x_NDTiffStack_1.tif": slice(11, 30)}
    for name, part in parts.items():
        write_ndtiff(tmp_path, name, axes[part], images[part])
    frames, recording = read(tmp_path)
    assert frames == expect("TZC")
    assert (recording.channels, len(recording.planes)) == ((1, 2), 3)
    assert read(tmp_path / "x_NDTiffStack.tif")[0] == expect("TZC")[:11]
