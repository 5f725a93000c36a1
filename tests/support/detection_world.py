"""A small registered movie with neurons of three kinds at known centers."""

from __future__ import annotations

import numpy as np

from rtrecon.detection.registered_movie import RegisteredMovie

SHAPE, N_BINS, DIAMETER_PX = (100, 120), 200, 10.0
TISSUE, NOISE_SD = 200.0, 20.0
# kind -> (row, col) of its neurons' centers
CENTERS = {
    "ring": [(18, 20), (50, 22), (80, 18)],
    "disc": [(20, 60), (50, 58), (79, 62)],
    "active": [(19, 100), (52, 98), (80, 101)],
}


def ignore_progress(_stage: str, _share: float, _text: str) -> None:
    """Do nothing with the progress."""


def make_movie(kinds=tuple(CENTERS), seed=0) -> RegisteredMovie:
    """Rings and discs never change; an active neuron is invisible in the mean image."""
    rng = np.random.default_rng(seed)
    bins = rng.normal(TISSUE, NOISE_SD, (N_BINS, *SHAPE)).astype(np.float32)
    for kind in kinds:
        for center in CENTERS[kind]:
            bins += _make_signal(kind, _distance_px(center), rng)
    whole = slice(0, SHAPE[0]), slice(0, SHAPE[1])
    return RegisteredMovie(bins, bins.mean(0), whole, N_BINS, N_BINS)


def make_disc(center) -> np.ndarray:
    return _distance_px(center) <= DIAMETER_PX / 2


def _distance_px(center) -> np.ndarray:
    rows, cols = np.indices(SHAPE)
    return np.hypot(rows - center[0], cols - center[1]).astype(np.float32)


def _make_signal(kind, distance_px, rng) -> np.ndarray:
    if kind == "ring":
        return 20 * ((distance_px > 3) & (distance_px < 5.5)) - 20 * (distance_px <= 3)
    if kind == "disc":
        return 20 * (distance_px <= DIAMETER_PX / 2)
    trace = rng.random(N_BINS) < 0.1  # one bin in ten, as bright as the noise
    trace = (trace - trace.mean()).astype(np.float32)[:, None, None]
    return 2 * NOISE_SD * trace * (distance_px <= DIAMETER_PX / 2)
