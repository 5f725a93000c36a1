"""Reads recordings of whiskers (.csv) as the encoder of touch feels them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.stimulus_space.touch import TOUCH, WHISKERS, compute_levels

_N_COLUMNS = 2 * len(WHISKERS)
_MIN_FRAMES = 10


@dataclass(frozen=True)
class Whisking:
    """Angles in degrees and contacts, 0 or 1, both (T, 24) at 100 Hz."""

    angle_deg: Array
    contact: Array


def read_whisking(path: Path | str) -> Whisking:
    """Read a table of 24 angles and 24 contacts per row, 100 rows per second.

    Its first line names the columns. Raises UserError if it is no such table.
    """
    path = Path(path)
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a table of whiskers: {error}"
        ) from None
    if table.shape[1] != _N_COLUMNS or len(table) < _MIN_FRAMES:
        raise UserError(
            f"{path} has {len(table)} rows of {table.shape[1]} columns; give "
            f"{_MIN_FRAMES} rows or more of {_N_COLUMNS}: the angle and then the "
            f"contact of {len(WHISKERS)} whiskers, at {TOUCH.rate_hz:g} Hz"
        )
    if not np.isfinite(table).all():
        raise UserError(f"{path} has values that are not numbers; fill the gaps")
    angle, contact = table[:, : len(WHISKERS)], table[:, len(WHISKERS) :]
    if not np.isin(contact, (0, 1)).all():
        raise UserError(f"{path} has contacts other than 0 and 1; give 0 or 1")
    return Whisking(angle, contact)


def read_touch_levels(path: Path | str) -> Array:
    """Return a table of whiskers as frames of the space of touch, uint8 (T, 24, 2)."""
    whisking = read_whisking(path)
    return compute_levels(whisking.angle_deg, whisking.contact)


def write_deflections(path: Path, levels: Array) -> None:
    """Write frames of the space of touch as a table: deflections in s.d."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = TOUCH.from_levels(levels)
    table = np.concatenate([values[:, :, 0], values[:, :, 1]], 1)
    names = [f"{q} {w}" for q in TOUCH.axes[1].labels for w in WHISKERS]
    np.savetxt(path, table, "%.3f", delimiter=",", header=",".join(names), comments="")
