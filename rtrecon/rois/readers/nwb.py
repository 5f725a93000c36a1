"""Reader for NWB's masks: a `PlaneSegmentation` with masks of any of NWB's kinds."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, build_roi_set
from rtrecon.sources.hdf5 import open_hdf5

# Columns in which Suite2p and CaImAn mark the ROIs that are cells.
_CELL_COLUMNS = ("iscell", "keep")
# NWB's x is a column of the image. Suite2p writes the row as x, and this description.
_SUITE2P_DESCRIPTION = "suite2p output"

_Pixels = list[tuple[Array, Array, Array]]


def load_plane_segmentation(
    path: Path, shape: tuple[int, int], only_cells: bool, table_name: str = ""
) -> RoiSet:
    """Read a `PlaneSegmentation` of an NWB file; ids are those of the table.

    table_name: its path in the file; empty if the file holds only one.

    The z of a `voxel_mask` is the number of its plane. An `image_mask` is [x, y] as NWB
    defines it, unless only [row, column] fits the field. only_cells: read the ROIs
    marked in the column `iscell` or `keep`, if there is one. Raises UserError.
    """
    with open_hdf5(path) as file:
        table = _find_table(path, file, table_name)
        ids = table["id"][()]
        pixels, planes = _read_masks(path, table, shape)
        is_selected = _read_is_cell(table, len(ids)) | (not only_cells)
    if not len(ids) == len(pixels) == len(planes):
        raise UserError(f"{path} is damaged: {len(ids)} ids for {len(pixels)} masks")
    selected = np.flatnonzero(is_selected)
    masks = [pixels[index] for index in selected]
    return build_roi_set(ids[selected], shape, masks, planes[selected])


def find_shape(path: Path, table_name: str = "") -> tuple[int, int] | None:
    """Return the (lines, pixels) of image masks, [x, y]; None for masks of pixels."""
    with open_hdf5(path) as file:
        images = _find_table(path, file, table_name).get("image_mask")
        if images is None or images.ndim != 3:
            return None
        pixels, lines = images.shape[1:]
    return int(lines), int(pixels)


def _find_table(path: Path, file: h5py.File, name: str) -> h5py.Group:
    found: list[str] = []

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if item.attrs.get("neurodata_type") == "PlaneSegmentation":
            found.append(name)

    file.visititems(add)
    if name:
        if name.strip("/") not in found:
            raise UserError(
                f"{path} holds no PlaneSegmentation {name}; it holds "
                f"{', '.join(sorted(found)) or 'none'}"
            )
        return file[name]
    if len(found) > 1:
        names = ", ".join(sorted(found))
        raise UserError(
            f"{path} holds {len(found)} PlaneSegmentations: {names}; "
            f"name one after the file, such as {path.name}:/{min(found)}"
        )
    if not found:
        raise UserError(f"{path} holds no PlaneSegmentation, so no masks")
    return file[found[0]]


def _read_masks(
    path: Path, table: h5py.Group, shape: tuple[int, int]
) -> tuple[_Pixels, Array]:
    """Return each ROI's (rows, cols, weights), and its plane."""
    if "pixel_mask" in table:
        masks = _read_ragged_column(path, table, "pixel_mask")
        planes = np.zeros(len(masks), np.int32)
    elif "voxel_mask" in table:
        masks = _read_ragged_column(path, table, "voxel_mask")
        planes = np.array([_read_plane(path, mask) for mask in masks], np.int32)
    elif "image_mask" in table:
        pixels = _read_image_masks(path, table["image_mask"], shape)
        return pixels, np.zeros(len(pixels), np.int32)
    else:
        raise UserError(f"{path}: its PlaneSegmentation holds no masks")
    is_row_first = str(table.attrs.get("description")).lower() == _SUITE2P_DESCRIPTION
    row, col = ("x", "y") if is_row_first else ("y", "x")
    return [(_to_int64(m[row]), _to_int64(m[col]), m["weight"]) for m in masks], planes


def _read_ragged_column(path: Path, table: h5py.Group, name: str) -> list[Array]:
    """Return each ROI's entries of a ragged column, which holds those of all ROIs."""
    entries = table[name][()]
    ends = _to_int64(table[f"{name}_index"][()])
    names = set(entries.dtype.names or ())
    if not {"x", "y", "weight"} <= names or ("voxel" in name and "z" not in names):
        raise UserError(f"{path}: {name} lacks x, y, z or weight: {entries.dtype}")
    if not len(ends):
        return []
    if (np.diff(ends, prepend=0) < 0).any() or ends[-1] != len(entries):
        raise UserError(f"{path} is damaged: {name}_index does not fit {name}")
    return np.split(entries, ends[:-1])


def _read_plane(path: Path, mask: Array) -> int:
    planes = np.unique(mask["z"])
    if len(planes) > 1:
        raise UserError(
            f"{path}: an ROI lies in planes {planes.tolist()}; each must lie in one"
        )
    return int(planes[0]) if len(planes) else 0


def _read_image_masks(
    path: Path, images: h5py.Dataset, shape: tuple[int, int]
) -> _Pixels:
    """Return the pixels of image masks, (n, x, y) or (n, row, column)."""
    image_shape = tuple(images.shape[1:])
    if image_shape not in (shape, shape[::-1]):
        raise UserError(
            f"{path}: masks are images of {list(image_shape)}, the field has "
            f"{shape[0]} lines x {shape[1]} pixels; use the masks of this field"
        )
    pixels = []
    for i in range(len(images)):  # all images together may not fit in memory
        image = images[i].T if image_shape == shape[::-1] else images[i]
        rows, cols = np.nonzero(image)
        pixels.append((rows, cols, image[rows, cols]))
    return pixels


def _read_is_cell(table: h5py.Group, n_rois: int) -> Array:
    for name in _CELL_COLUMNS:
        if name in table and table[name].shape[:1] == (n_rois,):
            return table[name][()].reshape(n_rois, -1)[:, 0] > 0.5
    return np.ones(n_rois, bool)


def _to_int64(numbers: Array) -> Array:
    return np.asarray(numbers, np.int64)
