"""How fast recordings of each format are read: frames per second at 512 x 512."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import tifffile

from rtrecon import sources
from rtrecon.core.types import Array
from rtrecon.sources.growing_tiff import GrowingTiff
from rtrecon.sources.recording import Recording, RecordingHints
from rtrecon.testing.scanimage_file import make_pages, write_scanimage

SHAPE, RATE_HZ = (512, 512), 30.0
N_FRAMES, REPEATS = 300, 3
_SIZE_AND_RATE = RecordingHints(rate_hz=RATE_HZ, shape=SHAPE)
_RATE_ONLY = RecordingHints(rate_hz=RATE_HZ)

Opener = Callable[[Path], Recording]


def measure_reading_speed(n_frames: int = N_FRAMES) -> dict[str, float]:
    """Return frames per second by format, file in memory, best of three."""
    pixels = make_pages(n_frames, SHAPE)
    with tempfile.TemporaryDirectory() as folder:
        return {
            name: _measure_fps(open_file, write_file(Path(folder), pixels), n_frames)
            for name, (write_file, open_file) in _FORMATS.items()
        }


def _measure_fps(open_file: Opener, path: Path, n_frames: int) -> float:
    durations_s = []
    for _ in range(REPEATS):
        with open_file(path) as recording:
            start = time.perf_counter()
            # Touches each frame's last pixel, so that all of it is read.
            n_read = sum(int(frame.pixels[-1, -1] >= 0) for frame in recording.frames())
            durations_s.append(time.perf_counter() - start)
        if n_read != n_frames:
            raise RuntimeError(f"{path.name}: {n_read} frames, not {n_frames}")
    return n_frames / min(durations_s)


def _write_scanimage(folder: Path, pixels: Array) -> Path:
    return write_scanimage(folder / "scanimage.tif", pixels)


def _write_compressed_scanimage(folder: Path, pixels: Array) -> Path:
    return write_scanimage(folder / "compressed.tif", pixels, compression=8)


def _write_tiff_stack(folder: Path, pixels: Array) -> Path:
    path = folder / "plain.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack")
    return path


def _write_binary(folder: Path, pixels: Array) -> Path:
    path = folder / "data.bin"
    pixels.tofile(path)
    return path


def _write_hdf5(folder: Path, pixels: Array, **storage: object) -> Path:
    path = folder / ("packed.h5" if storage else "movie.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=pixels, **storage)
    return path


def _write_gzipped_hdf5(folder: Path, pixels: Array) -> Path:
    return _write_hdf5(folder, pixels, chunks=(16, 128, 128), compression="gzip")


def _write_nwb(folder: Path, pixels: Array) -> Path:
    path = folder / "movie.nwb"
    with h5py.File(path, "w") as file:
        series = file.create_group("acquisition/TwoPhotonSeries")
        series.attrs["neurodata_type"] = "TwoPhotonSeries"
        series["data"] = np.transpose(pixels, (0, 2, 1))
        series["starting_time"] = 0.0
        series["starting_time"].attrs["rate"] = RATE_HZ
    return path


_FORMATS: dict[str, tuple[Callable[[Path, Array], Path], Opener]] = {
    "scanimage_tiff": (_write_scanimage, sources.open_recording),
    "scanimage_tiff_compressed": (_write_compressed_scanimage, sources.open_recording),
    "growing_tiff": (
        _write_scanimage,
        lambda path: GrowingTiff(path, RecordingHints()),
    ),
    "tiff_stack": (
        _write_tiff_stack,
        lambda path: sources.open_recording(path, _RATE_ONLY),
    ),
    "suite2p_binary": (
        _write_binary,
        lambda path: sources.open_recording(path, _SIZE_AND_RATE),
    ),
    "hdf5": (_write_hdf5, lambda path: sources.open_recording(path, _RATE_ONLY)),
    "hdf5_gzip": (
        _write_gzipped_hdf5,
        lambda path: sources.open_recording(path, _RATE_ONLY),
    ),
    "nwb": (_write_nwb, sources.open_recording),
}
