"""How fast recordings of each kind can be read: frames per second at 512 x 512."""

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
from rtrecon.sources.recording import Hints, Recording
from rtrecon.testing.scanimage_file import pages, write_scanimage

SHAPE, RATE_HZ = (512, 512), 30.0
N_FRAMES, REPEATS = 300, 3
_HINTS = Hints(rate_hz=RATE_HZ, shape=SHAPE)
_RATE = Hints(rate_hz=RATE_HZ)

Opener = Callable[[Path], Recording]


def measure(n_frames: int = N_FRAMES) -> dict[str, float]:
    """Return frames per second by kind of file, from memory, best of three."""
    pixels = pages(n_frames, SHAPE)
    with tempfile.TemporaryDirectory() as folder:
        return {
            kind: _fps(open_it, write(Path(folder), pixels), n_frames)
            for kind, (write, open_it) in _KINDS.items()
        }


def _fps(open_it: Opener, path: Path, n_frames: int) -> float:
    taken_s = []
    for _ in range(REPEATS):
        with open_it(path) as recording:
            start = time.perf_counter()
            found = sum(int(frame.pixels[-1, -1] >= 0) for frame in recording.frames())
            taken_s.append(time.perf_counter() - start)
        if found != n_frames:
            raise RuntimeError(f"{path.name}: {found} frames, not {n_frames}")
    return n_frames / min(taken_s)


def _scanimage(folder: Path, pixels: Array) -> Path:
    return write_scanimage(folder / "scanimage.tif", pixels)


def _compressed(folder: Path, pixels: Array) -> Path:
    return write_scanimage(folder / "compressed.tif", pixels, compression=8)


def _plain(folder: Path, pixels: Array) -> Path:
    path = folder / "plain.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack")
    return path


def _binary(folder: Path, pixels: Array) -> Path:
    path = folder / "data.bin"
    pixels.tofile(path)
    return path


def _hdf5(folder: Path, pixels: Array, **kind: object) -> Path:
    path = folder / ("packed.h5" if kind else "movie.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=pixels, **kind)
    return path


def _packed(folder: Path, pixels: Array) -> Path:
    return _hdf5(folder, pixels, chunks=(16, 128, 128), compression="gzip")


def _nwb(folder: Path, pixels: Array) -> Path:
    path = folder / "movie.nwb"
    with h5py.File(path, "w") as file:
        series = file.create_group("acquisition/TwoPhotonSeries")
        series.attrs["neurodata_type"] = "TwoPhotonSeries"
        series["data"] = np.transpose(pixels, (0, 2, 1))
        series["starting_time"] = 0.0
        series["starting_time"].attrs["rate"] = RATE_HZ
    return path


_KINDS: dict[str, tuple[Callable[[Path, Array], Path], Opener]] = {
    "scanimage_tiff": (_scanimage, sources.open),
    "scanimage_tiff_compressed": (_compressed, sources.open),
    "growing_tiff": (_scanimage, lambda path: GrowingTiff(path, Hints())),
    "tiff_stack": (_plain, lambda path: sources.open(path, _RATE)),
    "suite2p_binary": (_binary, lambda path: sources.open(path, _HINTS)),
    "hdf5": (_hdf5, lambda path: sources.open(path, _RATE)),
    "hdf5_gzip": (_packed, lambda path: sources.open(path, _RATE)),
    "nwb": (_nwb, sources.open),
}
