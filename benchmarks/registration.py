"""Registration against peers: milliseconds and error, rigid and by rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pairs
import peers
import worlds
from peers import Estimate

from rtrecon.config import RegisterSettings
from rtrecon.core.types import Array
from rtrecon.imaging.registration.registrar import Registrar

N_FRAMES, N_SLOW = 60, 12  # frames; fewer where a peer takes tens of milliseconds
N_ROW_BLOCKS = 8  # of 64 lines: where displacement is compared


@dataclass(frozen=True)
class Row:
    """One method: ms per frame, ratio of pairs (ours / theirs), error in px."""

    name: str
    p50_ms: float
    p99_ms: float
    ratio: float | None
    error_px: dict[str, tuple[float, float]]  # by light: median, 95th percentile


def rigid() -> list[Row]:
    """Compare estimates of whole-frame motion; the first row is ours."""
    found = {k: worlds.rigid_world(p, N_FRAMES) for k, p in worlds.PHOTONS.items()}
    bright = found["hi"]
    mine = _ours(bright.template)
    rows = [_rigid_row("rtrecon", _ours, found, None)]
    for name, maker in peers.RIGID.items():
        if peers.available({name: maker}, bright.template):
            rows.append(_rigid_row(name, maker, found, mine))
    return rows


def _ours(template: Array) -> Estimate:
    registrar = Registrar(template, RegisterSettings())

    def estimate(frame: Array) -> Array:
        shift = registrar.estimate(frame)
        return np.array([shift.y_px, shift.x_px])

    return estimate


def _rigid_row(name, maker, found, mine) -> Row:  # type: ignore[no-untyped-def]
    errors = {
        light: _rigid_error_px(maker(world.template), world)
        for light, world in found.items()
    }
    theirs, frames = maker(found["hi"].template), list(found["hi"].frames)
    timing = pairs.timed(theirs, frames)
    ratio = pairs.ratio(mine, theirs, frames[:N_SLOW]) if mine else None
    return Row(name, timing.p50, timing.p99, ratio, errors)


def _rigid_error_px(estimate: Estimate, world: worlds.World) -> tuple[float, float]:
    errors = np.array([estimate(f) for f in world.frames]) - world.shifts_px
    distances = np.hypot(*(errors - np.median(errors, 0)).T)
    return float(np.median(distances)), float(np.percentile(distances, 95))


def nonrigid() -> list[Row]:
    """Compare estimates of motion by rows; the first row is ours."""
    found = {k: worlds.row_world(p, N_FRAMES // 2) for k, p in worlds.PHOTONS.items()}
    rows = [_nonrigid_row("rtrecon (and moved)", _our_blocks, found)]
    for name, maker in peers.NONRIGID.items():
        if peers.available({name: maker}, found["hi"].template):
            rows.append(_nonrigid_row(name, maker, found))
    return rows


def _our_blocks(template: Array) -> tuple[Array, Estimate]:
    registrar = Registrar(template, RegisterSettings(nonrigid=True))
    moved = np.empty_like(template)
    middle = worlds.SIDE_PX / 2
    centers = np.array([(row, middle) for row in registrar.strip_rows])

    def estimate(frame: Array) -> Array:
        shift = registrar.estimate(frame)
        registrar.apply(frame, shift, moved)
        return np.asarray(shift.rows_px)

    return centers, estimate


def _nonrigid_row(name, maker, found) -> Row:  # type: ignore[no-untyped-def]
    errors = {}
    for light, world in found.items():
        centers, estimate = maker(world.template)
        errors[light] = _block_error_px(centers, estimate, world)
    _, estimate = maker(found["hi"].template)
    timing = pairs.timed(estimate, list(found["hi"].frames))
    return Row(name, timing.p50, timing.p99, None, errors)


def _block_error_px(
    centers: Array, estimate: Estimate, world: worlds.World
) -> tuple[float, float]:
    """Error at the middle of each 64 lines, in every column of blocks."""
    lines = worlds.SIDE_PX // N_ROW_BLOCKS
    places = np.arange(N_ROW_BLOCKS) * lines + lines / 2
    truth = world.shifts_px.reshape(-1, N_ROW_BLOCKS, 1, lines, 2).mean(3)
    found = [_at_rows(estimate(frame), centers, places) for frame in world.frames]
    errors = np.array(found) - truth
    errors -= np.median(errors, (0, 1, 2))
    distances = np.hypot(errors[..., 0], errors[..., 1])
    return float(np.median(distances)), float(np.percentile(distances, 95))


def _at_rows(blocks: Array, centers: Array, places: Array) -> Array:
    """Interpolate (blocks, 2) along rows: (places, columns of blocks, 2)."""
    n_rows = len(np.unique(centers[:, 0]))
    rows, grid = centers.reshape(n_rows, -1, 2), blocks.reshape(n_rows, -1, 2)
    columns = [
        [np.interp(places, rows[:, c, 0], grid[:, c, axis]) for axis in (0, 1)]
        for c in range(grid.shape[1])
    ]
    return np.asarray(columns).transpose(2, 0, 1)
