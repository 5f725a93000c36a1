"""Finds by how much all bodies jumped: the stage came back elsewhere."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

_MIN_BODIES, _MIN_SHARE = 3, 0.6


def find_jump(stored: Array, found: Array, reach_px: float) -> Array | None:
    """Return the shift (y, x) that brings most stored bodies onto found ones.

    stored, found: (n, 2), (m, 2) positions in px. None where fewer than 60 % of the
    bodies, or fewer than three, lie within reach_px of a found one after any shift.
    """
    if min(len(stored), len(found)) < _MIN_BODIES:
        return None
    shifts = (found[None] - stored[:, None]).reshape(-1, 2)
    hits = [_count_hits(stored + shift, found, reach_px) for shift in shifts]
    best = shifts[int(np.argmax(hits))]
    needed = max(_MIN_BODIES, _MIN_SHARE * min(len(stored), len(found)))
    if max(hits) < needed:
        return None
    return best + np.median(_list_errors(stored + best, found, reach_px), axis=0)


def _count_hits(moved: Array, found: Array, reach_px: float) -> int:
    return len(_list_errors(moved, found, reach_px))


def _list_errors(moved: Array, found: Array, reach_px: float) -> Array:
    """Return (k, 2) how far the nearest found body lies from each one that has one."""
    errors = found[None] - moved[:, None]
    nearest = np.hypot(errors[..., 0], errors[..., 1]).argmin(1)
    near = errors[np.arange(len(moved)), nearest]
    return near[np.hypot(near[:, 0], near[:, 1]) < reach_px]


def describe_jump(jump_px: Array) -> str:
    """Return the sentence for the user."""
    return (
        f"all bodies have moved by ({jump_px[0]:.0f}, {jump_px[1]:.0f}) px since the "
        "last picture: the stage came back elsewhere, or the medium was changed; the "
        "numbers of the neurons are carried along"
    )
