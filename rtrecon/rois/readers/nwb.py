"""NWB's masks: a `PlaneSegmentation` table, in whichever way it holds its ROIs."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, from_pixels
from rtrecon.sources.hdf5 import opened

# Columns in which Suite2p and CaImAn say which ROIs were taken for cells.
_CELL_COLUMNS = ("iscell", "keep")
# NWB's x is a column of the image. Suite2p writes the row there, and is known by this.
_ROWS_AS_X = "suite2p output"

_Pixels = list[tuple[Array, Array, Array]]


def load_plane_segmentation(
    path: Path, shape: tuple[int, int], only_cells: bool
) -> RoiSet:
    """Read the one `PlaneSegmentation` of an NWB file; ids are those of the table.

    The z of a `voxel_mask` is its plane's number. An `image_mask` is [x, y] as NWB
    says, unless only [row, column] fits the field. With `only_cells`, those of the
    column `iscell` or `keep`, if there is one. Raises UserError.
    """
    with opened(path) as file:
        table = _only_table(path, file)
        ids = table["id"][()]
        pixels, planes = _masks(path, table, shape)
        places = np.flatnonzero(_are_cells(table, len(ids)) | (not only_cells))
    if not len(ids) == len(pixels) == len(planes):
        raise UserError(f"{path} is damaged: {len(ids)} ids for {len(pixels)} masks")
    return from_pixels(ids[places], shape, [pixels[i] for i in places], planes[places])


def _only_table(path: Path, file: h5py.File) -> h5py.Group:
    found: list[str] = []

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if item.attrs.get("neurodata_type") == "PlaneSegmentation":
            found.append(name)

    file.visititems(note)
    if len(found) != 1:
        raise UserError(
            f"{path} has to hold one PlaneSegmentation, with the masks to be read; it "
            f"holds {', '.join(sorted(found)) or 'none'}"
        )
    return file[found[0]]


def _masks(
    path: Path, table: h5py.Group, shape: tuple[int, int]
) -> tuple[_Pixels, Array]:
    """Return each ROI's (rows, cols, weights), and its plane."""
    if "pixel_mask" in table:
        masks = _ragged(path, table, "pixel_mask")
        planes = np.zeros(len(masks), np.int32)
    elif "voxel_mask" in table:
        masks = _ragged(path, table, "voxel_mask")
        planes = np.array([_plane(path, mask) for mask in masks], np.int32)
    elif "image_mask" in table:
        pixels = _drawn(path, table["image_mask"], shape)
        return pixels, np.zeros(len(pixels), np.int32)
    else:
        raise UserError(f"{path}: its PlaneSegmentation holds no masks")
    is_odd = str(table.attrs.get("description")).lower() == _ROWS_AS_X
    row, col = ("x", "y") if is_odd else ("y", "x")
    return [(_whole(m[row]), _whole(m[col]), m["weight"]) for m in masks], planes


def _ragged(path: Path, table: h5py.Group, name: str) -> list[Array]:
    """Return each ROI's entries of a column that holds those of all, one by one."""
    entries = table[name][()]
    ends = _whole(table[f"{name}_index"][()])
    names = set(entries.dtype.names or ())
    if not {"x", "y", "weight"} <= names or ("voxel" in name and "z" not in names):
        raise UserError(f"{path}: {name} lacks x, y, z or weight: {entries.dtype}")
    if not len(ends):
        return []
    if (np.diff(ends, prepend=0) < 0).any() or ends[-1] != len(entries):
        raise UserError(f"{path} is damaged: {name}_index does not fit {name}")
    return np.split(entries, ends[:-1])


def _plane(path: Path, mask: Array) -> int:
    planes = np.unique(mask["z"])
    if len(planes) > 1:
        raise UserError(
            f"{path}: an ROI lies in planes {planes.tolist()}; each has to lie in one"
        )
    return int(planes[0]) if len(planes) else 0


def _drawn(path: Path, images: h5py.Dataset, shape: tuple[int, int]) -> _Pixels:
    """Return the pixels of masks that are images, (n, x, y) or (n, row, column)."""
    drawn = tuple(images.shape[1:])
    if drawn not in (shape, shape[::-1]):
        raise UserError(
            f"{path}: masks are images of {list(drawn)}, the field has {shape[0]} "
            f"lines x {shape[1]} pixels; use the masks of this field"
        )
    pixels = []
    for i in range(len(images)):  # together they would fill the memory
        image = images[i].T if drawn == shape[::-1] else images[i]
        rows, cols = np.nonzero(image)
        pixels.append((rows, cols, image[rows, cols]))
    return pixels


def _are_cells(table: h5py.Group, n_rois: int) -> Array:
    for name in _CELL_COLUMNS:
        if name in table and table[name].shape[:1] == (n_rois,):
            return table[name][()].reshape(n_rois, -1)[:, 0] > 0.5
    return np.ones(n_rois, bool)


def _whole(numbers: Array) -> Array:
    return np.asarray(numbers, np.int64)
