"""Recordings of every kind that tests can write, opened by their names alone."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import tifffile
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import OpticalChannel, TwoPhotonSeries
from scipy.io import savemat

from rtrecon import sources
from rtrecon.cli.sources import size
from rtrecon.core.errors import UserError
from rtrecon.sources.recording import Hints, RecordingError
from rtrecon.testing.daemon_process import rtrecon
from rtrecon.testing.listener import Listener
from rtrecon.testing.scanimage_file import pages, write_scanimage

SHAPE, RATE_HZ = (12, 16), 20.0
PIXELS = pages(6, SHAPE)
KNOWN = Hints(rate_hz=RATE_HZ)


def suite2p(folder: Path) -> Path:
    PIXELS.tofile(folder / "data.bin")
    ops = {"Ly": np.int64(12), "Lx": 16, "fs": np.float32(20), "meanImg": np.ones(3)}
    np.save(folder / "ops.npy", np.array(ops, object), allow_pickle=True)
    return folder


def new_suite2p(folder: Path) -> Path:
    PIXELS.tofile(folder / "data.bin")
    for name, said in {"db": {"Ly": 12, "Lx": 16}, "settings": {"fs": 20.0}}.items():
        np.save(folder / f"{name}.npy", np.array(said, object), allow_pickle=True)
    return folder / "data.bin"


def data_set(folder: Path) -> str:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("raw/movie", data=PIXELS, chunks=(4, 5, 16), compression=1)
        file["other"] = np.zeros((2, 2, 2))
    return f"{folder / 'a.h5'}:/raw/movie"


def only_data_set(folder: Path) -> Path:
    with h5py.File(folder / "a.hdf5", "w") as file:
        file["data"], file["settings"] = PIXELS, np.zeros(7)
    return folder / "a.hdf5"


def nwb(folder: Path, planes: int = 0, times=None) -> Path:
    began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    file = NWBFile(
        session_description="a test", identifier="none", session_start_time=began
    )
    device = file.create_device(name="microscope")
    channel = OpticalChannel(name="green", description="GCaMP", emission_lambda=520.0)
    plane = file.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="V1",
        device=device,
        excitation_lambda=920.0,
        indicator="GCaMP6s",
        location="V1",
    )
    data = PIXELS.transpose(0, 2, 1)  # NWB has x before y
    if planes:
        data = data.reshape(-1, planes, 16, 12).transpose(0, 2, 3, 1)
    timing = {"timestamps": times} if times is not None else {"rate": RATE_HZ}
    series = TwoPhotonSeries(
        name="movie", imaging_plane=plane, data=data, unit="a", **timing
    )
    file.add_acquisition(series)
    with NWBHDF5IO(folder / "a.nwb", "w") as io:
        io.write(file)
    return folder / "a.nwb"


def stack(folder: Path, pixels=PIXELS, **kind: object) -> Path:
    tifffile.imwrite(folder / "a.tif", pixels, photometric="minisblack", **kind)
    return folder / "a.tif"


def thor(folder: Path, channels="AC", steps=1, flyback=0, rate_hz=RATE_HZ) -> Path:
    names = "".join(f'<Wavelength name="Chan{c}"/>' for c in channels)
    (folder / "Experiment.xml").write_text(
        f"<ThorImageExperiment><Wavelengths>{names}</Wavelengths>"
        f'<LSM pixelX="16" pixelY="12" frameRate="{rate_hz}" averageMode="0"/>'
        f'<ZStage steps="{steps}" stepSizeUM="-20"/>'
        f'<Streaming zFastEnable="{int(steps > 1)}" flybackFrames="{flyback}"/>'
        "</ThorImageExperiment>"
    )
    PIXELS.astype("<u2").tofile(folder / "Image_0001_0001.raw")
    return folder / "Image_0001_0001.raw"


def scanbox(folder: Path, channels: int = 1, **more: object) -> Path:
    info = {
        "sz": [12, 16],
        "channels": channels,
        "resfreq": 12 * RATE_HZ,
        "scanmode": 1,
    }
    savemat(folder / "a.mat", {"info": info | more})
    count = 2 if channels == 1 else 1
    by_pixel = (65535 - PIXELS.astype("<u2")).reshape(-1, count, *SHAPE)
    by_pixel.transpose(0, 2, 3, 1).tofile(folder / "a.sbx")
    return folder / "a.sbx"


# kind of file -> who writes it, what has to be said besides, channels in it
KINDS = {
    "Suite2p, by its folder": (suite2p, None, (1,)),
    "Suite2p of 2026": (new_suite2p, None, (1,)),
    "a data set of several": (data_set, KNOWN, (1,)),
    "the only data set": (only_data_set, KNOWN, (1,)),
    "NWB": (nwb, None, (1,)),
    "a TIFF stack": (stack, KNOWN, (1,)),
    "a compressed TIFF stack": (lambda f: stack(f, compression="zlib"), KNOWN, (1,)),
    "a stack of ImageJ": (lambda f: stack(f, imagej=True), KNOWN, (1,)),
    "a big-endian stack": (lambda f: stack(f, byteorder=">"), KNOWN, (1,)),
    "Thor": (thor, None, (1, 3)),
    "Scanbox of two channels": (scanbox, None, (1, 2)),
    "Scanbox of one channel": (lambda folder: scanbox(folder, 3), None, (2,)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_is_read_by_its_name(tmp_path, kind):
    write, hints, channels = KINDS[kind]
    with sources.open(write(tmp_path), hints) as recording:
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


def test_one_channel_of_several(tmp_path):
    with sources.open(scanbox(tmp_path), Hints(channel=2)) as recording:
        frames = list(recording.frames())
    assert np.array_equal([frame.pixels for frame in frames], PIXELS[1::2])
    with pytest.raises(
        RecordingError, match="channel 3 was not saved; choose from 1, 2"
    ):
        sources.open(tmp_path / "a.sbx", Hints(channel=3))


def test_thor_volumes_come_without_flyback(tmp_path):
    path = thor(tmp_path, channels="B", steps=2, flyback=1, rate_hz=30.0)
    with sources.open(path) as recording:
        frames = list(recording.frames())
        assert (recording.planes, recording.rate_hz) == ((0.0, -20.0), 10.0)
    found = [(f.number, f.plane, f.channel) for f in frames]
    assert found == [(1, 0, 2), (1, 1, 2), (2, 0, 2), (2, 1, 2)]
    assert np.array_equal([f.pixels for f in frames], PIXELS[[0, 1, 3, 4]])


def test_a_focus_that_scanbox_sweeps_makes_planes(tmp_path):
    path = scanbox(tmp_path, 2, volscan=1, otwave=[0.0, 400.0, 800.0], scanmode=0)
    with sources.open(path) as recording:
        assert recording.planes == (0.0, 1.0, 2.0)
        assert recording.rate_hz == pytest.approx(2 * RATE_HZ / 3)
        planes = [(frame.number, frame.plane) for frame in recording.frames()]
    assert planes == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]


def test_nwb_of_several_planes_with_times_of_its_own(tmp_path):
    times = [1.0, 1.1, 1.3]
    with sources.open(nwb(tmp_path, planes=2, times=times)) as recording:
        frames = list(recording.frames())
        assert recording.planes == (0.0, 1.0)
        assert recording.rate_hz == pytest.approx(1 / 0.15)
    assert np.array_equal([frame.pixels for frame in frames], PIXELS)
    assert [frame.t_s for frame in frames] == pytest.approx(np.repeat(times, 2))
    assert [frame.plane for frame in frames] == [0, 1] * 3


def test_a_block_of_images_behind_one_page_is_read(tmp_path):
    """As ImageJ writes what is larger than 4 GB: the other pages are not listed."""
    path = stack(tmp_path, imagej=True)
    with tifffile.TiffFile(path) as tiff:
        first = tiff.pages.first
        after_tags = first.offset + 2 + 12 * len(first.tags)
    with path.open("r+b") as file:
        file.seek(after_tags)
        file.write(bytes(4))  # no page follows
    with sources.open(path, KNOWN) as recording:
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


# pixels of another type -> what they become
CONVERTED = {
    "uint8": (PIXELS % 200, np.uint8, np.uint16),
    "int32": (PIXELS - 1000, np.int32, np.int16),
    "int32, high": (PIXELS.astype(int) + 35_000, np.int32, np.uint16),
    "uint32": (PIXELS, np.uint32, np.uint16),
    "float32, whole": (PIXELS, np.float32, np.int16),
}


@pytest.mark.parametrize("case", CONVERTED)
def test_other_pixels_are_converted_without_loss(tmp_path, case):
    values, dtype, expected = CONVERTED[case]
    with sources.open(stack(tmp_path, values.astype(dtype)), KNOWN) as recording:
        assert recording.dtype == expected
        assert np.array_equal([f.pixels for f in recording.frames()], values)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e9])
def test_pixels_that_would_lose_something_are_refused(tmp_path, value):
    pixels = PIXELS.astype(np.float32)
    pixels[2, 3, 4] = value
    with sources.open(stack(tmp_path, pixels), KNOWN) as recording:
        frames = recording.frames()
        assert [next(frames).number, next(frames).number] == [1, 2]
        with pytest.raises(
            RecordingError, match=f"frame 3 .*{re.escape(format(value, 'g'))}"
        ):
            next(frames)


@pytest.mark.parametrize("keep_bytes", [1, 383])
def test_a_file_that_is_cut_gives_its_whole_frames(tmp_path, keep_bytes):
    path = suite2p(tmp_path) / "data.bin"
    path.write_bytes(path.read_bytes()[: 2 * 384 + keep_bytes])
    with sources.open(path) as recording:
        assert f"after 2 whole frames {keep_bytes} bytes are left" in recording.notice
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS[:2])


def test_suite2p_without_settings_is_told_its_size(tmp_path):
    path = tmp_path / "data.bin"
    PIXELS.tofile(path)
    with pytest.raises(RecordingError, match="give --shape, such as 512x512"):
        sources.open(path, KNOWN)
    with sources.open(path, Hints(rate_hz=5.0, shape=SHAPE)) as recording:
        assert recording.rate_hz == 5.0
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


def test_settings_that_ask_to_run_something_are_refused(tmp_path):
    class Payload:
        def __reduce__(self):
            return (Path(tmp_path / "owned").touch, ())

    path = suite2p(tmp_path) / "data.bin"
    np.save(tmp_path / "ops.npy", np.array(Payload(), object), allow_pickle=True)
    with pytest.raises(RecordingError, match="was refused; with --shape and --rate-hz"):
        sources.open(path)
    assert not (tmp_path / "owned").exists()


def no_data(folder: Path) -> str:
    return f"{only_data_set(folder)}:/nothing"


def two_movies(folder: Path) -> Path:
    data_set(folder)
    return folder / "a.h5"


def flat(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["data"] = np.zeros((3, 4))
    return folder / "a.h5:/data"


def elsewhere(folder: Path) -> Path:
    path = nwb(folder)
    with h5py.File(path, "r+") as file:
        file["acquisition/movie/external_file"] = [b"movie_00001.tif"]
    return path


def colour(folder: Path) -> Path:
    image = np.zeros((4, 4, 3), np.uint8)
    tifffile.imwrite(folder / "a.tif", image, photometric="rgb")
    return folder / "a.tif"


def written(name: str, content: bytes):
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


# what is wrong -> who makes it, what is said besides, words of the sentence
REFUSED = {
    "no rate": (stack, None, "ScanImage did not write it, .* give --rate-hz"),
    "a rate that is none": (stack, Hints(rate_hz=-1.0), "a rate of -1 Hz"),
    "a rate that is known": (
        lambda folder: write_scanimage(folder / "a.tif", PIXELS),
        KNOWN,
        "says its own rate and size; leave --rate-hz",
    ),
    "no such file": (
        lambda folder: folder / "none.bin",
        None,
        "does not exist; it can",
    ),
    "an unknown kind": (written("a.avi", b"RIFF"), None, "is of no known kind"),
    "no such data set": (
        no_data,
        KNOWN,
        "/nothing is no data set of it; it holds /data",
    ),
    "several data sets": (two_movies, KNOWN, "2 movies .*/other, /raw/movie.*a.*h5:/"),
    "a data set that is flat": (flat, KNOWN, r"has shape \[3, 4\]"),
    "a damaged HDF5 file": (written("a.h5", b"HDF, I think"), KNOWN, "cannot be read"),
    "images elsewhere": (elsewhere, None, "elsewhere; name movie_00001.tif instead"),
    "a colour image": (colour, KNOWN, r"its pages are \[4, 4, 3\]"),
    "an empty data.bin": (
        written("data.bin", b""),
        Hints(rate_hz=1.0, shape=SHAPE),
        "no whole frame",
    ),
    "Thor without settings": (written("I.raw", b"12"), None, "Experiment.xml is not"),
    "Scanbox without settings": (written("a.sbx", b"12"), None, "a.mat is not beside"),
    "a folder of nothing": (lambda folder: folder, None, r"no file \*.tif\* is in"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_replayed_is_refused_in_words(tmp_path, case):
    write, hints, words = REFUSED[case]
    with pytest.raises(UserError, match=words):
        sources.open(write(tmp_path), hints)


@pytest.mark.parametrize("name", ["Experiment.xml", "a.mat"])
def test_damaged_settings_are_refused_in_words(tmp_path, name):
    path = thor(tmp_path) if name == "Experiment.xml" else scanbox(tmp_path)
    (tmp_path / name).write_bytes(b"<LSM nothing")
    with pytest.raises(RecordingError, match=f"{name} does not say its layout"):
        sources.open(path)


def test_a_damaged_chunk_is_named(tmp_path):
    data_set(tmp_path)
    path = tmp_path / "a.h5"
    with h5py.File(path) as file:
        where = file["raw/movie"].id.get_chunk_info(5)  # the second block of frames
    with path.open("r+b") as file:
        file.seek(where.byte_offset)
        file.write(b"\0" * where.size)
    with sources.open(f"{path}:/raw/movie", KNOWN) as recording:
        frames = recording.frames()
        assert [next(frames).number for _ in range(4)] == [1, 2, 3, 4]
        with pytest.raises(RecordingError, match="frame 5 cannot be read"):
            next(frames)


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path):
    path, shape, n_bytes = tmp_path / "data.bin", (1024, 1024), 2 * 2**30
    with path.open("wb") as file:  # a hole: it takes no space on the disk
        file.truncate(n_bytes)
    process = psutil.Process()
    with sources.open(path, Hints(rate_hz=30.0, shape=shape)) as recording:
        assert recording.n_frames == n_bytes // 2**21
        frames = recording.frames()
        next(frames)
        before = process.memory_info().rss
        for _, frame in zip(range(300), frames, strict=False):  # 600 MB
            assert not frame.pixels[-1, -1]
        assert process.memory_info().rss - before < 50 * 2**20


def test_a_stack_is_replayed_by_the_command_at_the_rate_that_is_given(
    tmp_path, free_address
):
    path, address = stack(tmp_path), free_address()
    with Listener(address) as listener:
        done = rtrecon("replay", path, "--to", address, "--rate-hz", 50, "--speed", 0)
    assert done.returncode == 0, done.stderr
    start = listener.messages[0][0]
    assert (start.source, start.rate_hz) == ("replay of a.tif", 50.0)
    assert np.array_equal([pixels for _, pixels in listener.frames()], PIXELS)


@pytest.mark.parametrize("text", ["512", "ax3", "512x", "512x3x4", "-5x6"])
def test_what_is_no_size_is_told(text):
    with pytest.raises(UserError, match=f"'{text}' is no size; write lines x pixels"):
        size(text)


def test_a_size_is_lines_by_pixels():
    assert (size("512x796"), size("4X3"), size(None)) == ((512, 796), (4, 3), None)
