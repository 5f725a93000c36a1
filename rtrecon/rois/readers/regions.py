"""Regions as JSON: a list of {"coordinates": [[row, col], ...]}, plain or weighted.

Each region may carry an "id" (a whole number), a "plane" (from 0) and "weights" (one
per pixel). Hand-marked ones carry none of them, or only ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, from_pixels

_Pixel = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Plane = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _Region(msgspec.Struct, frozen=True, omit_defaults=True):
    coordinates: list[tuple[_Pixel, _Pixel]]  # row, col
    id: _Id | None = None
    plane: _Plane = 0
    weights: list[float] | None = None


def load_regions(path: Path, shape: tuple[int, int]) -> RoiSet:
    """Read regions on a field of `shape`, in the order of the file.

    A region without weights weighs its pixels equally. Ids are those of the file, or
    places in it where no region has one. Raises UserError with a sentence.
    """
    try:
        regions = msgspec.json.decode(path.read_bytes(), type=list[_Region])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} is not a list of regions like "
            f'[{{"coordinates": [[row, col], ...]}}]: {error}'
        ) from None
    planes = np.array([region.plane for region in regions], np.int32)
    pixels = [_pixels(region) for region in regions]
    return from_pixels(_ids(path, regions), shape, pixels, planes)


def save_regions(path: Path, rois: RoiSet) -> None:
    """Write masks that `load_regions` reads back as they are, ids and planes included.

    The field's shape is not kept. Raises UserError where the file cannot be written.
    """
    regions = [
        _Region(_coordinates(rows, cols), int(id_), int(plane), weights.tolist())
        for id_, plane, (rows, cols, weights) in zip(
            rois.ids, rois.planes, rois.pixels(), strict=True
        )
    ]
    try:
        path.write_bytes(msgspec.json.encode(regions))
    except OSError as error:
        raise UserError(f"masks cannot be written to {path}: {error}") from None


def _coordinates(rows: Array, cols: Array) -> list[tuple[int, int]]:
    return list(zip(rows.tolist(), cols.tolist(), strict=True))


def _ids(path: Path, regions: list[_Region]) -> Array:
    ids = [region.id for region in regions if region.id is not None]
    if not ids:
        return np.arange(len(regions))
    if len(ids) < len(regions):
        raise UserError(
            f"{path}: {len(ids)} of {len(regions)} regions have an id; give one to "
            "each or to none"
        )
    return np.array(ids, np.int64)


def _pixels(region: _Region) -> tuple[Array, Array, Array]:
    rows, cols = np.array(region.coordinates, np.int64).reshape(-1, 2).T
    weights = np.ones(len(rows)) if region.weights is None else region.weights
    return rows, cols, np.asarray(weights, np.float64)
