"""Simulated whiskers: rhythmic whisking, and objects that stop some of them.

All whiskers share set point, amplitude and phase of whisking (5 to 12 Hz), each with a
lag and a movement of its own. Objects come and go; a whisker that reaches one stops
there, and touches it as long as it pushes.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.random_draws import filter_slowly
from rtrecon.stimulus_space.touch import N_ARCS, N_ROWS, TOUCH, compute_levels

_RATES_HZ = (5.0, 12.0)
_AMPLITUDE_DEG, _SET_POINT_DEG, _OWN_DEG = 14.0, 10.0, 4.0
_OBJECTS_HZ, _OBJECT_S = 0.8, (0.3, 2.0)
_REACH_ROWS, _REACH_ARCS = 1.0, 1.4  # s.d. of an object over the pad
_OBJECT_DEG = (-5.0, 12.0)
_SETTLE_FRAMES = 500  # drawn first, until the noise has its s.d.


def make_whisking(n_frames: int, seed: int) -> Array:
    """Return uint8 levels (n_frames, 24, 2) of the space of touch."""
    rng = np.random.default_rng([seed, 81])
    rate_hz = TOUCH.rate_hz
    speed_hz = np.clip(8 + 2 * _draw_slow(n_frames, 2.0, rng), *_RATES_HZ)
    phase = 2 * np.pi * np.cumsum(speed_hz) / rate_hz
    amplitude = _AMPLITUDE_DEG * np.clip(
        0.8 + 0.7 * _draw_slow(n_frames, 1.5, rng), 0, 2
    )
    set_point = _SET_POINT_DEG * _draw_slow(n_frames, 1.0, rng)
    arc = np.tile(np.arange(N_ARCS), N_ROWS)
    angle = set_point[:, None] + amplitude[:, None] * np.cos(
        phase[:, None] - 0.25 * arc
    )
    for own_deg in angle.T:
        own_deg += _OWN_DEG * _draw_slow(n_frames, 0.15, rng)
    contact = np.zeros(angle.shape, bool)
    for _ in range(rng.poisson(_OBJECTS_HZ * n_frames / rate_hz) + 1):
        _place_object(angle, contact, rng)
    return compute_levels(angle, contact)


def _place_object(angle: Array, contact: Array, rng: np.random.Generator) -> None:
    """Stop the whiskers near an object at its angle, while it is there."""
    start = int(rng.integers(len(angle)))
    stop = start + round(rng.uniform(*_OBJECT_S) * TOUCH.rate_hz)
    row, arc = rng.uniform(0, N_ROWS), rng.uniform(0, N_ARCS)
    rows = np.repeat(np.arange(N_ROWS) + 0.5, N_ARCS)
    arcs = np.tile(np.arange(N_ARCS) + 0.5, N_ROWS)
    distance = ((rows - row) / _REACH_ROWS) ** 2 + ((arcs - arc) / _REACH_ARCS) ** 2
    is_near = np.flatnonzero(distance < 1.5)
    limit = rng.uniform(*_OBJECT_DEG)
    part = angle[start:stop, is_near]
    contact[start:stop, is_near] |= part > limit
    angle[start:stop, is_near] = np.minimum(part, limit + 0.15 * (part - limit))


def _draw_slow(n: int, seconds: float, rng: np.random.Generator) -> Array:
    """Return noise (n,) of s.d. 1 that changes within this time."""
    noise = rng.normal(size=(n + _SETTLE_FRAMES, 1))
    slow = filter_slowly(noise, seconds * TOUCH.rate_hz)
    return np.asarray(slow[_SETTLE_FRAMES:, 0])
