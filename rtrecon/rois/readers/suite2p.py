"""Reader for Suite2p's masks: `stat.npy` of one plane, or of every plane of a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, build_roi_set
from rtrecon.sources.npy import read_numbers, read_objects

# Files in which Suite2p stores the size of the field: since 2026, and before.
_FIELD_FILES = ("db.npy", "ops.npy")


def load_suite2p(path: Path, shape: tuple[int, int], only_cells: bool) -> RoiSet:
    """Read a `stat.npy`, the folder that holds one, or the folder of all planes.

    Weights are `lam`; pixels shared between ROIs stay in each of them. Ids are rows of
    `stat.npy`. In a folder of plane0, plane1, ... they count on from plane to plane, as
    in Suite2p's combined view, and `planes` holds the numbers of the folders; else it
    is 0. only_cells: read only the cells of the `iscell.npy` beside it, if there is
    one. Raises UserError.
    """
    ids: list[int] = []
    planes: list[int] = []
    pixels: list[tuple[Array, Array, Array]] = []
    first = 0
    for plane, file in _find_stat_files(path).items():
        _require_field(file.parent, shape)
        stat = _read_stat(file)
        is_cell = _read_is_cell(file.with_name("iscell.npy"), len(stat))
        rows = [row for row in range(len(stat)) if is_cell[row] or not only_cells]
        ids += [first + row for row in rows]
        planes += [plane] * len(rows)
        pixels += [_read_pixels(file, stat[row], row) for row in rows]
        first += len(stat)
    return build_roi_set(np.array(ids, np.int64), shape, pixels, np.array(planes, "i4"))


def find_shape(path: Path) -> tuple[int, int] | None:
    """Return the (lines, pixels) that Suite2p stored; None if it did not."""
    for file in _find_stat_files(path).values():
        for name in _FIELD_FILES:
            settings_file = file.with_name(name)
            settings = _read_settings(settings_file) if settings_file.is_file() else {}
            if {"Ly", "Lx"} <= settings.keys():
                return int(settings["Ly"]), int(settings["Lx"])
    return None


def _find_stat_files(path: Path) -> dict[int, Path]:
    """Return each plane's stat.npy by the plane's number, in order of the numbers."""
    if path.is_file():
        return {0: path}
    if path.name == "combined":
        raise UserError(
            f"{path} shows the planes side by side on one field; name the folder above "
            "it, which holds each plane separately"
        )
    if (path / "stat.npy").is_file():
        return {0: path / "stat.npy"}
    numbered = [
        (int(name[1]), folder / "stat.npy")
        for folder in path.iterdir()
        if (name := re.fullmatch(r"plane(\d+)", folder.name))
    ]
    # A plane that was skipped as flyback, or without ROIs, has no stat.npy.
    found = {plane: file for plane, file in sorted(numbered) if file.is_file()}
    if not found:
        raise UserError(
            f"folder {path} holds no stat.npy, and no plane0, plane1, ... that does; "
            "name the folder that Suite2p wrote"
        )
    return found


def _require_field(folder: Path, shape: tuple[int, int]) -> None:
    """Raise UserError if Suite2p stored another field size for this plane."""
    for file in (folder / name for name in _FIELD_FILES):
        settings = _read_settings(file) if file.is_file() else {}
        if not {"Ly", "Lx"} <= settings.keys():
            continue
        if (settings["Ly"], settings["Lx"]) != shape:
            raise UserError(
                f"masks in {folder} were made on a field of {settings['Ly']} lines x "
                f"{settings['Lx']} pixels ({file.name}), not of {shape[0]} x "
                f"{shape[1]}; use the masks of this field"
            )


def _read_settings(path: Path) -> dict[Any, Any]:
    try:
        stored = read_objects(path)
    except UserError as error:
        raise UserError(
            f"{error}; without {path.name}, masks are read and the size of their field "
            "is not checked"
        ) from None
    settings = stored.item() if stored.ndim == 0 else None
    return settings if isinstance(settings, dict) else {}


def _read_stat(path: Path) -> list[Any]:
    stat = read_objects(path)
    if stat.ndim != 1:
        raise UserError(f"{path} cannot be read as a Suite2p file: no list of ROIs")
    return list(stat)


def _read_is_cell(path: Path, n_rois: int) -> Array:
    """Return (n_rois,) bool; all True if there is no such file."""
    if not path.is_file():
        return np.ones(n_rois, bool)
    table = read_numbers(path)
    if table.ndim not in (1, 2) or len(table) != n_rois or table.size < n_rois:
        raise UserError(
            f"{path} has shape {list(table.shape)}, but stat.npy beside it holds "
            f"{n_rois} ROIs; they come from different runs of Suite2p"
        )
    return np.asarray((table if table.ndim == 1 else table[:, 0]) > 0.5)


def _read_pixels(path: Path, roi: Any, row: int) -> tuple[Array, Array, Array]:
    try:
        exact = np.asarray(roi["ypix"]), np.asarray(roi["xpix"])
        with np.errstate(invalid="ignore"):  # NaN is refused below
            rows, cols = (indices.astype(np.int64) for indices in exact)
        weights = np.asarray(roi["lam"], np.float32)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"ROI {row} of {path} lacks usable ypix, xpix and lam: {error!r}"
        ) from None
    if np.any(rows != exact[0]) or np.any(cols != exact[1]):
        raise UserError(
            f"ROI {row} of {path}: ypix and xpix must be whole numbers, the indices of "
            "pixels; round them"
        )
    if not rows.ndim == cols.ndim == weights.ndim == 1:
        raise UserError(f"ROI {row} of {path}: ypix, xpix and lam must be lists")
    return rows, cols, weights
