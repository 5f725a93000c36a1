"""A small steady recording with neurons of three kinds at known places."""

from __future__ import annotations

import numpy as np

from rtrecon.detection.registered_movie import Steady

SHAPE, N_BINS, DIAMETER_PX = (100, 120), 200, 10.0
TISSUE, NOISE_SD = 200.0, 20.0
# kind -> (row, col) of its neurons' middles
PLACES = {
    "ring": [(18, 20), (50, 22), (80, 18)],
    "disc": [(20, 60), (50, 58), (79, 62)],
    "active": [(19, 100), (52, 98), (80, 101)],
}


def quiet(_stage: str, _share: float, _word: str) -> None:
    """What is reported, nobody reads."""


def steady(kinds=tuple(PLACES), seed=0) -> Steady:
    """Rings and discs never change; an active one is invisible in the mean image."""
    rng = np.random.default_rng(seed)
    bins = rng.normal(TISSUE, NOISE_SD, (N_BINS, *SHAPE)).astype(np.float32)
    for kind in kinds:
        for place in PLACES[kind]:
            bins += _light(kind, _apart(place), rng)
    whole = slice(0, SHAPE[0]), slice(0, SHAPE[1])
    return Steady(bins, bins.mean(0), whole, N_BINS, N_BINS)


def true_disc(place) -> np.ndarray:
    return _apart(place) <= DIAMETER_PX / 2


def _apart(place) -> np.ndarray:
    rows, cols = np.indices(SHAPE)
    return np.hypot(rows - place[0], cols - place[1]).astype(np.float32)


def _light(kind, apart, rng) -> np.ndarray:
    if kind == "ring":
        return 20 * ((apart > 3) & (apart < 5.5)) - 20 * (apart <= 3)
    if kind == "disc":
        return 20 * (apart <= DIAMETER_PX / 2)
    trace = rng.random(N_BINS) < 0.1  # one bin in ten, as bright as the noise
    trace = (trace - trace.mean()).astype(np.float32)[:, None, None]
    return 2 * NOISE_SD * trace * (apart <= DIAMETER_PX / 2)
