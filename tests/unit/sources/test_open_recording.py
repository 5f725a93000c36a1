"""`open_recording` reads every format and refuses bad files with a reason."""

from __future__ import annotations

import datetime
import doctest
import math
import re
from pathlib import Path
from pkgutil import resolve_name

import h5py
import numpy as np
import pytest
import tifffile
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import OpticalChannel, TwoPhotonSeries
from scipy.io import savemat

from rtrecon.cli.sources import parse_size
from rtrecon.core.errors import UserError
from rtrecon.sources import RecordingError, RecordingHints, open_recording
from rtrecon.sources.registry import FORMATS as FORMATS_OF_REGISTRY
from rtrecon.testing.scanimage_file import make_pages, write_scanimage

SHAPE, RATE_HZ = (12, 16), 20.0
PIXELS = make_pages(6, SHAPE)
RATE = RecordingHints(rate_hz=RATE_HZ)
TIMES = {"axes": "TYX"}


def write_suite2p(folder: Path) -> Path:
    PIXELS.tofile(folder / "data.bin")
    ops = {"Ly": np.int64(12), "Lx": 16, "fs": np.float32(20), "meanImg": np.ones(3)}
    np.save(folder / "ops.npy", np.array(ops, object), allow_pickle=True)
    return folder


def write_suite2p_2026(folder: Path) -> Path:
    PIXELS.tofile(folder / "data.bin")
    for name, settings in {
        "db": {"Ly": 12, "Lx": 16},
        "settings": {"fs": 20.0},
    }.items():
        np.save(folder / f"{name}.npy", np.array(settings, object), allow_pickle=True)
    return folder / "data.bin"


def write_one_of_two_datasets(folder: Path) -> str:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("raw/movie", data=PIXELS, chunks=(4, 5, 16), compression=1)
        file["other"] = np.zeros((2, 2, 2))
    return f"{folder / 'a.h5'}:/raw/movie"


def write_single_dataset(folder: Path) -> Path:
    with h5py.File(folder / "a.hdf5", "w") as file:
        file["data"], file["settings"] = PIXELS, np.zeros(7)
    return folder / "a.hdf5"


def write_nwb(folder: Path, planes: int = 0, times=None) -> Path:
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


def write_stack(folder: Path, pixels=PIXELS, **kind: object) -> Path:
    tifffile.imwrite(folder / "a.tif", pixels, photometric="minisblack", **kind)
    return folder / "a.tif"


def write_thor(
    folder: Path, channels="AC", steps=1, flyback=0, rate_hz=RATE_HZ
) -> Path:
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


def write_scanbox(folder: Path, channels: int = 1, **more: object) -> Path:
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


# format -> function that writes it, hints, channels in it
FORMATS = {
    "Suite2p, by its folder": (write_suite2p, None, (1,)),
    "Suite2p of 2026": (write_suite2p_2026, None, (1,)),
    "one HDF5 dataset of several": (write_one_of_two_datasets, RATE, (1,)),
    "the only HDF5 dataset": (write_single_dataset, RATE, (1,)),
    "NWB": (write_nwb, None, (1,)),
    "a TIFF stack": (lambda f: write_stack(f, metadata=TIMES), RATE, (1,)),
    "a compressed TIFF stack": (
        lambda f: write_stack(f, compression="zlib", metadata=TIMES),
        RATE,
        (1,),
    ),
    "a stack of ImageJ": (
        lambda f: write_stack(f, imagej=True, metadata=TIMES),
        RATE,
        (1,),
    ),
    "a big-endian stack": (
        lambda f: write_stack(f, byteorder=">", metadata=TIMES),
        RATE,
        (1,),
    ),
    "Thor": (write_thor, None, (1, 3)),
    "Scanbox of two channels": (write_scanbox, None, (1, 2)),
    "Scanbox of one channel": (lambda folder: write_scanbox(folder, 3), None, (2,)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_by_its_path(tmp_path, name):
    write, hints, channels = FORMATS[name]
    with open_recording(write(tmp_path), hints) as recording:
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
def test_scanbox_3_names_its_channels_in_its_own_field(tmp_path, saved):
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
        places = ["ABCD".index(letter) for letter in channels]
        stored = np.zeros((6 // len(places), n_stored, *SHAPE), "<u2")
        stored[:, places] = PIXELS.reshape(-1, len(places), *SHAPE)
        stored.tofile(path)
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert recording.channels == tuple("ABCD".index(c) + 1 for c in channels)
        assert recording.n_frames == len(frames)
    assert np.array_equal([frame.pixels for frame in frames], PIXELS)


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


def test_the_error_names_the_package_that_a_compression_needs(tmp_path, monkeypatch):
    path = write_stack(tmp_path, metadata=TIMES, compression="zlib")

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    words = "compressed with LZW, which needs another package; pip install imagecodecs"
    with pytest.raises(RecordingError, match=words):
        open_recording(path, RATE)


def test_nwb_planes_and_timestamps_are_read(tmp_path):
    times = [1.0, 1.1, 1.3]
    with open_recording(write_nwb(tmp_path, planes=2, times=times)) as recording:
        frames = list(recording.frames())
        assert recording.planes == (0.0, 1.0)
        assert recording.rate_hz == pytest.approx(1 / 0.15)
    assert np.array_equal([frame.pixels for frame in frames], PIXELS)
    assert [frame.t_s for frame in frames] == pytest.approx(np.repeat(times, 2))
    assert [frame.plane for frame in frames] == [0, 1] * 3


def test_a_block_of_images_behind_one_page_is_read(tmp_path):
    """ImageJ writes files above 4 GB so: the other pages are not listed."""
    path = write_stack(tmp_path, imagej=True)
    with tifffile.TiffFile(path) as tiff:
        first = tiff.pages.first
        after_tags = first.offset + 2 + 12 * len(first.tags)
    with path.open("r+b") as file:
        file.seek(after_tags)
        file.write(bytes(4))  # no page follows
    with open_recording(path, RATE) as recording:
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


# pixels, their type, the type they are converted to
CONVERTED = {
    "uint8": (PIXELS % 200, np.uint8, np.uint16),
    "int32": (PIXELS - 1000, np.int32, np.int16),
    "int32, high": (PIXELS.astype(int) + 35_000, np.int32, np.uint16),
    "uint32": (PIXELS, np.uint32, np.uint16),
    "float32, whole": (PIXELS, np.float32, np.int16),
}


@pytest.mark.parametrize("case", CONVERTED)
def test_pixels_of_other_types_are_converted_without_loss(tmp_path, case):
    values, dtype, expected = CONVERTED[case]
    with open_recording(write_stack(tmp_path, values.astype(dtype)), RATE) as recording:
        assert recording.dtype == expected
        assert np.array_equal([f.pixels for f in recording.frames()], values)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e9])
def test_pixels_that_cannot_be_converted_without_loss_are_refused(tmp_path, value):
    pixels = PIXELS.astype(np.float32)
    pixels[2, 3, 4] = value
    with open_recording(write_stack(tmp_path, pixels), RATE) as recording:
        frames = recording.frames()
        assert [next(frames).number, next(frames).number] == [1, 2]
        with pytest.raises(
            RecordingError, match=f"frame 3 .*{re.escape(format(value, 'g'))}"
        ):
            next(frames)


@pytest.mark.parametrize("rest_bytes", [1, 383])
def test_a_truncated_file_gives_its_complete_frames(tmp_path, rest_bytes):
    path = write_suite2p(tmp_path) / "data.bin"
    path.write_bytes(path.read_bytes()[: 2 * 384 + rest_bytes])
    with open_recording(path) as recording:
        assert (
            f"after 2 complete frames {rest_bytes} bytes are left" in recording.notice
        )
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS[:2])


def test_suite2p_without_settings_needs_hints_of_size_and_rate(tmp_path):
    path = tmp_path / "data.bin"
    PIXELS.tofile(path)
    with pytest.raises(RecordingError, match="give --shape, such as 512x512"):
        open_recording(path, RATE)
    with open_recording(path, RecordingHints(rate_hz=5.0, shape=SHAPE)) as recording:
        assert recording.rate_hz == 5.0
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


def test_settings_that_would_run_code_are_refused(tmp_path):
    class Payload:
        def __reduce__(self):
            return (Path(tmp_path / "owned").touch, ())

    path = write_suite2p(tmp_path) / "data.bin"
    np.save(tmp_path / "ops.npy", np.array(Payload(), object), allow_pickle=True)
    with pytest.raises(RecordingError, match="was refused; with --shape and --rate-hz"):
        open_recording(path)
    assert not (tmp_path / "owned").exists()


def name_missing_dataset(folder: Path) -> str:
    return f"{write_single_dataset(folder)}:/nothing"


def write_two_datasets(folder: Path) -> Path:
    write_one_of_two_datasets(folder)
    return folder / "a.h5"


def write_flat_dataset(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["data"] = np.zeros((3, 4))
    return folder / "a.h5:/data"


def write_external_images(folder: Path) -> Path:
    path = write_nwb(folder)
    with h5py.File(path, "r+") as file:
        file["acquisition/movie/external_file"] = [b"movie_00001.tif"]
    return path


def write_colour(folder: Path) -> Path:
    image = np.zeros((4, 4, 3), np.uint8)
    tifffile.imwrite(folder / "a.tif", image, photometric="rgb")
    return folder / "a.tif"


def write_bytes_to(name: str, content: bytes):
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


# what is wrong -> function that writes the file, hints, words of the error
REFUSED = {
    "no rate": (write_stack, None, "ScanImage did not write it, .* give --rate-hz"),
    "a negative rate": (write_stack, RecordingHints(rate_hz=-1.0), "a rate of -1 Hz"),
    "a rate for a file that has one": (
        lambda folder: write_scanimage(folder / "a.tif", PIXELS),
        RATE,
        "stored the frame rate and the image size in it; leave out --rate-hz",
    ),
    "no such file": (
        lambda folder: folder / "none.bin",
        None,
        "does not exist; it can",
    ),
    "an unknown format": (
        write_bytes_to("a.avi", b"RIFF"),
        None,
        "its format is unknown. A recording can be a ScanImage TIFF",
    ),
    "a Femtonics file": (
        write_bytes_to("a.MESC", b"HDF"),
        None,
        r"MESc of Femtonics wrote it; export the measurement .* as a TIFF",
    ),
    "no such dataset": (
        name_missing_dataset,
        RATE,
        "/nothing is not a dataset in it; its datasets are /data",
    ),
    "several datasets": (
        write_two_datasets,
        RATE,
        "2 movies .*/other, /raw/movie.*a.*h5:/",
    ),
    "a dataset of two axes": (write_flat_dataset, RATE, r"has shape \[3, 4\]"),
    "a damaged HDF5 file": (
        write_bytes_to("a.h5", b"HDF, I think"),
        RATE,
        "cannot be read",
    ),
    "images in other files": (
        write_external_images,
        None,
        "in other files; open movie_00001.tif instead",
    ),
    "a colour image": (write_colour, RATE, r"its pages are \[4, 4, 3\]"),
    "an empty data.bin": (
        write_bytes_to("data.bin", b""),
        RecordingHints(rate_hz=1.0, shape=SHAPE),
        "no complete frame",
    ),
    "Thor without settings": (
        write_bytes_to("I.raw", b"12"),
        None,
        "Experiment.xml, which .* is not beside it",
    ),
    "Scanbox without settings": (
        write_bytes_to("a.sbx", b"12"),
        None,
        "a.mat, which .* is not beside it",
    ),
    "an empty folder": (lambda folder: folder, None, r"no file \*.tif\* is in"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unreadable_recordings_are_refused_with_the_reason(tmp_path, case):
    write, hints, words = REFUSED[case]
    with pytest.raises(UserError, match=words):
        open_recording(write(tmp_path), hints)


@pytest.mark.parametrize("name", ["Experiment.xml", "a.mat"])
def test_damaged_settings_files_are_refused(tmp_path, name):
    path = write_thor(tmp_path) if name == "Experiment.xml" else write_scanbox(tmp_path)
    (tmp_path / name).write_bytes(b"<LSM nothing")
    with pytest.raises(RecordingError, match=f"{name} does not describe its layout"):
        open_recording(path)


def test_the_error_names_the_frame_of_a_damaged_chunk(tmp_path):
    write_one_of_two_datasets(tmp_path)
    path = tmp_path / "a.h5"
    with h5py.File(path) as file:
        chunk = file["raw/movie"].id.get_chunk_info(5)  # the second block of frames
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\0" * chunk.size)
    with open_recording(f"{path}:/raw/movie", RATE) as recording:
        frames = recording.frames()
        assert [next(frames).number for _ in range(4)] == [1, 2, 3, 4]
        with pytest.raises(RecordingError, match="frame 5 cannot be read"):
            next(frames)


@pytest.mark.parametrize("text", ["512", "ax3", "512x", "512x3x4", "-5x6"])
def test_text_that_is_not_a_size_is_refused(text):
    with pytest.raises(
        UserError, match=f"'{text}' is not an image size; write lines x pixels"
    ):
        parse_size(text)


def test_a_size_is_lines_by_pixels():
    assert (parse_size("512x796"), parse_size("4X3"), parse_size(None)) == (
        (512, 796),
        (4, 3),
        None,
    )


def test_a_file_without_a_rate_opens_with_nan_if_no_rate_is_required(tmp_path):
    hints = RecordingHints(is_rate_required=False)
    with open_recording(write_stack(tmp_path), hints) as recording:
        assert math.isnan(recording.rate_hz)
        assert np.array_equal([f.pixels for f in recording.frames()], PIXELS)


def test_the_example_in_the_documentation_of_open_recording_runs(tmp_path, monkeypatch):
    pixels = np.full((2, 12, 16), 100, np.uint16) * [[[1]], [[2]]]
    image = pixels.astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", image, photometric="minisblack")
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder().find(open_recording, globs={})
    result = doctest.DocTestRunner().run(example)
    assert (result.attempted, result.failed) == (2, 0)


def test_every_registered_opener_and_test_can_be_imported():
    for entry in FORMATS_OF_REGISTRY:
        assert callable(resolve_name(entry.opener))
        assert not entry.test or callable(resolve_name(entry.test))
