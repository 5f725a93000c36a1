"""Hand-marked regions as JSON: a list of {"coordinates": [[row, col], ...]}."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from rtrecon import rois
from rtrecon.errors import UserError

_Pixel = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


class _Region(msgspec.Struct, frozen=True):
    coordinates: list[tuple[_Pixel, _Pixel]]  # row, col


def load_regions(path: Path, shape: tuple[int, int]) -> rois.RoiSet:
    """Read regions on a field of `shape`; each weighs its pixels equally.

    Ids are positions in the file. Raises UserError with a sentence.
    """
    try:
        regions = msgspec.json.decode(path.read_bytes(), type=list[_Region])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} is not a list of regions like "
            f'[{{"coordinates": [[row, col], ...]}}]: {error}'
        ) from None
    pixels = []
    for region in regions:
        rows, cols = np.array(region.coordinates, np.int64).reshape(-1, 2).T
        pixels.append((rows, cols, np.ones(len(rows), np.float32)))
    return rois.from_pixels(np.arange(len(regions)), shape, pixels)
