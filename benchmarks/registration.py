"""Registration compared with other packages: time and error, rigid and row-wise."""

from __future__ import annotations

from dataclasses import dataclass

import call_timing
import numpy as np
import peers
import simulated_fields
from peers import Estimate

from rtrecon.config import RegistrationSettings
from rtrecon.core.types import Array
from rtrecon.imaging.registration.registrar import Registrar

N_FRAMES, N_SLOW = 60, 12  # frames; fewer where a peer takes tens of milliseconds
N_ROW_BLOCKS = 8  # of 64 lines: where displacement is compared


@dataclass(frozen=True)
class MethodResult:
    """One method: ms per frame, ratio of times (ours / theirs), error in px.

    error_px: median and 95th percentile, by light.
    """

    name: str
    p50_ms: float
    p99_ms: float
    ratio: float | None
    error_px: dict[str, tuple[float, float]]


def compare_rigid() -> list[MethodResult]:
    """Compare estimates of whole-frame motion; the first row is ours."""
    fields = {
        light: simulated_fields.simulate_rigid_motion(photons, N_FRAMES)
        for light, photons in simulated_fields.PHOTONS.items()
    }
    template = fields["hi"].template
    ours = _make_our_estimate(template)
    rows = [_measure_rigid("rtrecon", _make_our_estimate, fields, None)]
    for name, maker in peers.RIGID.items():
        if peers.make_available({name: maker}, template):
            rows.append(_measure_rigid(name, maker, fields, ours))
    return rows


def _make_our_estimate(template: Array) -> Estimate:
    registrar = Registrar(template, RegistrationSettings())

    def estimate(frame: Array) -> Array:
        shift = registrar.estimate_shift(frame)
        return np.array([shift.y_px, shift.x_px])

    return estimate


def _measure_rigid(name, maker, fields, ours) -> MethodResult:  # type: ignore[no-untyped-def]
    errors = {
        light: _measure_rigid_error_px(maker(field.template), field)
        for light, field in fields.items()
    }
    theirs, frames = maker(fields["hi"].template), list(fields["hi"].frames)
    timing = call_timing.time_calls(theirs, frames)
    ratio = (
        call_timing.measure_time_ratio(ours, theirs, frames[:N_SLOW]) if ours else None
    )
    return MethodResult(name, timing.p50, timing.p99, ratio, errors)


def _measure_rigid_error_px(
    estimate: Estimate, field: simulated_fields.MovingField
) -> tuple[float, float]:
    errors = np.array([estimate(f) for f in field.frames]) - field.shifts_px
    distances = np.hypot(*(errors - np.median(errors, 0)).T)
    return float(np.median(distances)), float(np.percentile(distances, 95))


def compare_nonrigid() -> list[MethodResult]:
    """Compare estimates of motion by rows; the first row is ours."""
    fields = {
        light: simulated_fields.simulate_row_motion(photons, N_FRAMES // 2)
        for light, photons in simulated_fields.PHOTONS.items()
    }
    rows = [_measure_nonrigid("rtrecon (and moved)", _make_our_row_estimate, fields)]
    for name, maker in peers.NONRIGID.items():
        if peers.make_available({name: maker}, fields["hi"].template):
            rows.append(_measure_nonrigid(name, maker, fields))
    return rows


def _make_our_row_estimate(template: Array) -> tuple[Array, Estimate]:
    registrar = Registrar(template, RegistrationSettings(nonrigid=True))
    moved = np.empty_like(template)
    middle = simulated_fields.SIDE_PX / 2
    centers = np.array([(row, middle) for row in registrar.strip_rows])

    def estimate(frame: Array) -> Array:
        shift = registrar.estimate_shift(frame)
        registrar.undo_shift(frame, shift, moved)
        return np.asarray(shift.strip_shifts_px)

    return centers, estimate


def _measure_nonrigid(name, maker, fields) -> MethodResult:  # type: ignore[no-untyped-def]
    errors = {}
    for light, field in fields.items():
        centers, estimate = maker(field.template)
        errors[light] = _measure_block_error_px(centers, estimate, field)
    _, estimate = maker(fields["hi"].template)
    timing = call_timing.time_calls(estimate, list(fields["hi"].frames))
    return MethodResult(name, timing.p50, timing.p99, None, errors)


def _measure_block_error_px(
    centers: Array, estimate: Estimate, field: simulated_fields.MovingField
) -> tuple[float, float]:
    """Error at the middle of each 64 lines, in every column of blocks."""
    lines = simulated_fields.SIDE_PX // N_ROW_BLOCKS
    block_rows = np.arange(N_ROW_BLOCKS) * lines + lines / 2
    truth = field.shifts_px.reshape(-1, N_ROW_BLOCKS, 1, lines, 2).mean(3)
    estimates = [
        _interpolate_rows(estimate(frame), centers, block_rows)
        for frame in field.frames
    ]
    errors = np.array(estimates) - truth
    errors -= np.median(errors, (0, 1, 2))
    distances = np.hypot(errors[..., 0], errors[..., 1])
    return float(np.median(distances)), float(np.percentile(distances, 95))


def _interpolate_rows(blocks: Array, centers: Array, block_rows: Array) -> Array:
    """Interpolate (blocks, 2) along rows: (block_rows, columns of blocks, 2)."""
    n_rows = len(np.unique(centers[:, 0]))
    rows, grid = centers.reshape(n_rows, -1, 2), blocks.reshape(n_rows, -1, 2)
    columns = [
        [np.interp(block_rows, rows[:, c, 0], grid[:, c, axis]) for axis in (0, 1)]
        for c in range(grid.shape[1])
    ]
    return np.asarray(columns).transpose(2, 0, 1)
