"""Suite2p's masks: `stat.npy`, read without running what a pickle may carry."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rtrecon import rois
from rtrecon.errors import UserError
from rtrecon.wire import Array

# All that an array of dicts of arrays and numbers needs to be rebuilt. numpy moved
# these between 1.x and 2.x; files name the place that wrote them.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks to load {module}.{name}, which masks do not need, "
                "and was refused"
            )
        return super().find_class(module, name)


def load_stat(path: Path, shape: tuple[int, int]) -> rois.RoiSet:
    """Read `stat.npy` on a field of `shape`, weights `lam`, ids = rows in the file.

    Pixels that Suite2p marked as shared with another ROI are left out, as Suite2p does
    itself. With an `iscell.npy` beside it only cells are kept. Raises UserError.
    """
    stat = _read_objects(path)
    is_cell = _read_is_cell(path.with_name("iscell.npy"), len(stat))
    ids = [row for row in range(len(stat)) if is_cell[row]]
    pixels = [_pixels(path, stat[row], row) for row in ids]
    return rois.from_pixels(np.array(ids, np.int64), shape, pixels)


def _read_objects(path: Path) -> list[Any]:
    """Return the objects of a one-dimensional .npy object array."""
    try:
        with path.open("rb") as file:
            _require_objects(file)
            objects = _Unpickler(file).load()
    except (OSError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise UserError(
            f"{path} cannot be read as a Suite2p stat file: {error}"
        ) from None
    if not isinstance(objects, np.ndarray) or objects.ndim != 1:
        raise UserError(f"{path} is not a Suite2p stat file: no list of ROIs in it")
    return list(objects)


def _require_objects(file: BinaryIO) -> None:
    """Read the .npy header, leaving the file where the pickle begins."""
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    _, _, dtype = read_header(file)
    if not dtype.hasobject:
        raise UserError(f"it holds an array of {dtype}, not of ROIs")


def _read_is_cell(path: Path, n_rois: int) -> Array:
    """Return (n_rois,) bool; all True where there is no such file."""
    if not path.is_file():
        return np.ones(n_rois, bool)
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if table.ndim not in (1, 2) or len(table) != n_rois:
        raise UserError(
            f"{path} has shape {list(table.shape)}, but stat.npy beside it holds "
            f"{n_rois} ROIs; they come from different runs of Suite2p"
        )
    return np.asarray((table if table.ndim == 1 else table[:, 0]) > 0.5)


def _pixels(path: Path, roi: Any, row: int) -> tuple[Array, Array, Array]:
    try:
        rows = np.asarray(roi["ypix"], np.int64)
        cols = np.asarray(roi["xpix"], np.int64)
        weights = np.asarray(roi["lam"], np.float32)
        shared = np.asarray(roi.get("overlap", np.zeros(len(rows))), bool)
        # An ROI that shares all its pixels keeps them, rather than read nothing.
        keep = np.ones(len(rows), bool) if shared.all() else ~shared
        rows, cols, weights = rows[keep], cols[keep], weights[keep]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"ROI {row} of {path} lacks usable ypix, xpix and lam: {error!r}"
        ) from None
    if not (rows.shape == cols.shape == weights.shape and np.isfinite(weights).all()):
        raise UserError(
            f"ROI {row} of {path}: ypix, xpix, lam differ in length or lam has gaps"
        )
    return rows, cols, weights
