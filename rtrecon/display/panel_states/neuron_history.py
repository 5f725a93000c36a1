"""What each neuron of a dish looked like in the newest pictures, for the display."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.dish_messages import BODY_COLUMNS, NOT_CLAIMED

MAX_PICTURES, MAX_NEURONS, N_DISTANCES = 500, 400, 64
_COLUMNS = [BODY_COLUMNS.index(n) for n in ("length_um", "tips", "partners")]
_NUMBER, _Y, _X = (BODY_COLUMNS.index(n) for n in ("number", "y_px", "x_px"))


class NeuronPoint(NamedTuple):
    """One neuron in one picture.

    profile: uint8 (N_DISTANCES,), how many pixels of its neurites lie at each distance
    from the body.
    """

    hours: float
    length_um: float
    tips: int
    partners: int
    profile: Array


class NeuronHistory:
    """The newest pictures of each neuron of one stage position."""

    def __init__(self) -> None:
        self.range_px = 1.0  # distance from the body that the profiles reach
        self._points: dict[int, deque[NeuronPoint]] = {}

    def add_picture(
        self, hours: float, bodies: Array, owners: Array, step_px: int
    ) -> None:
        """Store a traced picture. step_px: camera px per pixel of the owners."""
        self.range_px = max(owners.shape) * step_px / 2
        numbers = bodies[:, _NUMBER].astype(np.int64)
        profiles = _measure_profiles(bodies, owners, step_px, self.range_px)
        for number in [n for n in self._points if n not in numbers]:
            if self._points[number][-1].hours < hours:
                self._points[number].append(_make_gap(hours))
        for row, number in enumerate(numbers.tolist()[:MAX_NEURONS]):
            points = self._points.setdefault(number, deque(maxlen=MAX_PICTURES))
            length_um, tips, partners = bodies[row, _COLUMNS].tolist()
            points.append(
                NeuronPoint(hours, length_um, int(tips), int(partners), profiles[row])
            )
        while len(self._points) > MAX_NEURONS:
            del self._points[next(iter(self._points))]

    def list_points(self, number: int) -> list[NeuronPoint]:
        """Return the pictures of a neuron, oldest first; empty if it is unknown."""
        return list(self._points.get(number, ()))


def find_filled_pixels(owners: Array) -> Array:
    """Return bool (lines, pixels): where bodies are; neurites are thin lines."""
    wide = np.zeros(owners.shape, bool)
    # Only bodies have neighbors on all sides.
    inner = owners[1:-1, 1:-1]
    is_inner = inner > 0
    for rows, cols in ((0, 1), (2, 1), (1, 0), (1, 2)):
        neighbor = owners[
            rows : owners.shape[0] - 2 + rows, cols : owners.shape[1] - 2 + cols
        ]
        is_inner &= neighbor == inner
    wide[1:-1, 1:-1] = is_inner
    for axis in (0, 1):
        for step in (-1, 1):
            wide |= np.roll(wide, step, axis)
    return wide & (owners != NOT_CLAIMED)


def _make_gap(hours: float) -> NeuronPoint:
    return NeuronPoint(hours, np.nan, 0, 0, np.zeros(N_DISTANCES, np.uint8))


def _measure_profiles(
    bodies: Array, owners: Array, step_px: int, range_px: float
) -> Array:
    """Return uint8 (bodies, N_DISTANCES)."""
    counts = np.zeros(len(bodies) * N_DISTANCES, np.int64)
    order = np.argsort(bodies[:, _NUMBER])
    numbers = bodies[order, _NUMBER].astype(np.int64)
    is_neurite = (owners > 0) & (owners < NOT_CLAIMED) & ~find_filled_pixels(owners)
    rows, cols = np.nonzero(is_neurite)
    owner = owners[rows, cols].astype(np.int64)
    at = np.searchsorted(numbers, owner)
    is_body = at < len(numbers)
    is_body[is_body] = numbers[at[is_body]] == owner[is_body]
    body = order[at[is_body]]
    centers = (np.stack([rows, cols], 1)[is_body] + 0.5) * step_px - 0.5
    away_px = np.hypot(*(centers - bodies[body][:, [_Y, _X]]).T)
    bins = np.minimum(away_px / range_px * N_DISTANCES, N_DISTANCES - 1).astype(int)
    counts += np.bincount(body * N_DISTANCES + bins, minlength=len(counts))
    limited = np.minimum(counts, 255).astype(np.uint8)
    profiles: Array = limited.reshape(len(bodies), N_DISTANCES)
    return profiles
