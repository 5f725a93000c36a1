"""Reader for CaImAn's masks: `estimates/A` of the HDF5 file that `save` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.sparse import csc_array

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, build_roi_set
from rtrecon.sources.hdf5 import open_hdf5

# Where the size of the field may be stored, depending on the version of CaImAn.
_FIELD_SIZE_PATHS = ("estimates/dims", "dims", "params/data/dims")


def load_caiman(path: Path, shape: tuple[int, int], only_cells: bool) -> RoiSet:
    """Read components on a field of `shape`; ids are columns of `A`.

    only_cells: read the components of `idx_components`, in its order, if CaImAn has
    selected any. (After `select_components`, `A` holds only the selected ones.) Raises
    UserError.
    """
    with open_hdf5(path) as file:
        _require_field(path, file, shape)
        components = _read_components(path, file, shape[0] * shape[1])
        selected = (
            _read_integers(file, "estimates/idx_components") if only_cells else None
        )
    columns = np.arange(components.shape[1]) if selected is None else selected
    if len(columns) and not 0 <= columns.min() <= columns.max() < components.shape[1]:
        raise UserError(
            f"{path}: idx_components reaches {columns.max()}, but A holds "
            f"{components.shape[1]} components; save it again from CaImAn"
        )
    masks = [_get_pixels(components, int(column), shape[0]) for column in columns]
    return build_roi_set(columns, shape, masks)


def find_shape(path: Path) -> tuple[int, int] | None:
    """Return the (lines, pixels) that CaImAn stored; None if it did not."""
    with open_hdf5(path) as file:
        shapes = _list_field_shapes(file)
    return (shapes[0][0], shapes[0][1]) if shapes and len(shapes[0]) == 2 else None


def _list_field_shapes(file: h5py.File) -> list[tuple[int, ...]]:
    return [
        tuple(dims.tolist())
        for name in _FIELD_SIZE_PATHS
        if (dims := _read_integers(file, name)) is not None
    ]


def _require_field(path: Path, file: h5py.File, shape: tuple[int, int]) -> None:
    found = _list_field_shapes(file)
    if not found:
        raise UserError(
            f"{path} does not store the size of the field (dims); save it again from "
            "CaImAn"
        )
    made_on = found[0]
    if made_on != shape:
        raise UserError(
            f"masks in {path} were made on a field of {' x '.join(map(str, made_on))}, "
            f"not of {shape[0]} lines x {shape[1]} pixels; use the masks of this field"
        )


def _read_components(path: Path, file: h5py.File, n_pixels: int) -> Any:
    """Return A, (pixels, components), sparse by column."""
    stored = file.get("estimates/A")
    if not isinstance(stored, h5py.Group):
        raise UserError(f"{path} holds no components: it has no estimates/A")
    data, indices, indptr = (stored[key][()] for key in ("data", "indices", "indptr"))
    components = csc_array((data, indices, indptr), shape=tuple(stored["shape"][()]))
    if components.shape[0] != n_pixels:
        raise UserError(
            f"{path}: components have {components.shape[0]} pixels, the field has "
            f"{n_pixels}"
        )
    components.check_format(full_check=True)
    components.sum_duplicates()
    components.eliminate_zeros()
    return components


def _read_integers(file: h5py.File, name: str) -> Array | None:
    """Return an array of whole numbers, or None if there is none.

    CaImAn writes Python's None as the text 'NoneType'.
    """
    stored = file.get(name)
    if not isinstance(stored, h5py.Dataset) or stored.dtype.kind not in "iuf":
        return None
    return np.asarray(stored[()], np.int64).reshape(-1)


def _get_pixels(components: Any, column: int, lines: int) -> tuple[Array, Array, Array]:
    entries = slice(components.indptr[column], components.indptr[column + 1])
    # Pixels are counted in Fortran order: down a column of the image first.
    cols, rows = np.divmod(components.indices[entries], lines)
    return rows, cols, components.data[entries]
