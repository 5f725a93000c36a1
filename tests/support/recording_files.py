"""Writes small recordings of every format; all hold the same pixels."""

from __future__ import annotations

import datetime
from pathlib import Path

import h5py
import numpy as np
import tifffile
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import OpticalChannel, TwoPhotonSeries
from scipy.io import savemat

from rtrecon.sources import RecordingHints
from rtrecon.testing.scanimage_file import make_pages

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
