"""Reader and writer for regions in JSON: [{"coordinates": [[row, col], ...]}, ...].

Each region may have an "id" (a whole number), a "plane" (from 0) and "weights" (one per
pixel). Regions marked by hand have none of them, or only ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.files import read_text
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, build_roi_set

_Pixel = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Plane = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _Region(msgspec.Struct, frozen=True, omit_defaults=True):
    coordinates: list[tuple[_Pixel, _Pixel]]  # row, col
    id: _Id | None = None
    plane: _Plane = 0
    weights: list[float] | None = None


def load_regions(path: Path, shape: tuple[int, int], only_cells: bool = True) -> RoiSet:
    """Read regions on a field of `shape`, in the order of the file.

    The pixels of a region without weights weigh the same. Ids are those of the file; if
    no region has one, the regions are numbered from 0. only_cells has no effect: every
    region is a cell. Raises UserError.
    """
    try:
        regions = msgspec.json.decode(read_text(path), type=list[_Region])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} is not a list of regions like "
            f'[{{"coordinates": [[row, col], ...]}}]: {error}'
        ) from None
    planes = np.array([region.plane for region in regions], np.int32)
    pixels = [_read_pixels(region) for region in regions]
    return build_roi_set(_read_ids(path, regions), shape, pixels, planes)


def save_regions(path: Path, rois: RoiSet) -> None:
    """Write masks; `load_regions` returns the same masks, ids and planes.

    The shape of the field is not written. Raises UserError if writing fails.
    """
    regions = [
        _Region(_list_coordinates(rows, cols), int(id_), int(plane), weights.tolist())
        for id_, plane, (rows, cols, weights) in zip(
            rois.ids, rois.planes, rois.list_pixels(), strict=True
        )
    ]
    try:
        path.write_bytes(msgspec.json.encode(regions))
    except OSError as error:
        raise UserError(f"masks cannot be written to {path}: {error}") from None


def _list_coordinates(rows: Array, cols: Array) -> list[tuple[int, int]]:
    return list(zip(rows.tolist(), cols.tolist(), strict=True))


def _read_ids(path: Path, regions: list[_Region]) -> Array:
    ids = [region.id for region in regions if region.id is not None]
    if not ids:
        return np.arange(len(regions))
    if len(ids) < len(regions):
        raise UserError(
            f"{path}: {len(ids)} of {len(regions)} regions have an id; give one to "
            "each or to none"
        )
    return np.array(ids, np.int64)


def _read_pixels(region: _Region) -> tuple[Array, Array, Array]:
    rows, cols = np.array(region.coordinates, np.int64).reshape(-1, 2).T
    weights = np.ones(len(rows)) if region.weights is None else region.weights
    return rows, cols, np.asarray(weights, np.float64)
