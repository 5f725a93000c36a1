"""CaImAn's masks: `estimates/A` of the HDF5 file that its `save` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.sparse import csc_array

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, from_pixels
from rtrecon.sources.hdf5 import opened

# Where the field's size may be; which of them is filled depends on the version.
_DIMS = ("estimates/dims", "dims", "params/data/dims")


def load_caiman(path: Path, shape: tuple[int, int], only_cells: bool) -> RoiSet:
    """Read components on a field of `shape`; ids are columns of `A`.

    With `only_cells`, those of `idx_components` in its order, if CaImAn has chosen any
    (it leaves only the chosen ones in `A` after `select_components`). Raises UserError.
    """
    with opened(path) as file:
        _require_field(path, file, shape)
        components = _components(path, file, shape[0] * shape[1])
        chosen = _values(file, "estimates/idx_components") if only_cells else None
    columns = np.arange(components.shape[1]) if chosen is None else chosen
    if len(columns) and not 0 <= columns.min() <= columns.max() < components.shape[1]:
        raise UserError(
            f"{path}: idx_components reaches {columns.max()}, but A holds "
            f"{components.shape[1]} components; save it again from CaImAn"
        )
    masks = [_pixels(components, int(column), shape[0]) for column in columns]
    return from_pixels(columns, shape, masks)


def _require_field(path: Path, file: h5py.File, shape: tuple[int, int]) -> None:
    found = [dims for name in _DIMS if (dims := _values(file, name)) is not None]
    if not found:
        raise UserError(f"{path} says nowhere how large the field was (dims)")
    made_on = tuple(found[0].tolist())
    if made_on != shape:
        raise UserError(
            f"masks in {path} were made on a field of {' x '.join(map(str, made_on))}, "
            f"not of {shape[0]} lines x {shape[1]} pixels; use the masks of this field"
        )


def _components(path: Path, file: h5py.File, n_pixels: int) -> Any:
    """Return A, (pixels, components), sparse by column."""
    stored = file.get("estimates/A")
    if not isinstance(stored, h5py.Group):
        raise UserError(f"{path} holds no components: estimates/A is not there")
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


def _values(file: h5py.File, name: str) -> Array | None:
    """Return a list of whole numbers, or None where there is none.

    What Python's None was, CaImAn writes as the text 'NoneType'.
    """
    stored = file.get(name)
    if not isinstance(stored, h5py.Dataset) or stored.dtype.kind not in "iuf":
        return None
    return np.asarray(stored[()], np.int64).reshape(-1)


def _pixels(components: Any, column: int, lines: int) -> tuple[Array, Array, Array]:
    own = slice(components.indptr[column], components.indptr[column + 1])
    # Fortran order: down the lines of a column of the image first.
    cols, rows = np.divmod(components.indices[own], lines)
    return rows, cols, components.data[own]
