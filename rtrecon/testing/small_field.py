"""A field of view whose every image is a formula: shifted by any amount, exactly.

Cells are Gaussian spots on a fine and a broad texture of more such spots, so that an
image moved by a fraction of a pixel is evaluated, not interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.rois.roi_set import RoiSet, from_pixels

CELL_SIGMA_PX = 3.0
CELL_RADIUS_PX = 5.0


@dataclass(frozen=True)
class Field:
    """Spots at (row, col) of a size and a brightness; the first n_cells are cells."""

    shape: tuple[int, int]
    places: np.ndarray
    sigmas: np.ndarray
    heights: np.ndarray
    n_cells: int

    def image(self, shift=(0.0, 0.0), activity=None) -> np.ndarray:
        """Brightness, mean about 1; activity (n_cells,) is the dF/F of the cells."""
        heights = self.heights.copy()
        if activity is not None:
            heights[: self.n_cells] *= 1 + np.asarray(activity)
        rows, cols = (
            np.exp(
                -0.5
                * (
                    (np.arange(side)[:, None] - self.places[:, axis] - shift[axis])
                    / self.sigmas
                )
                ** 2
            )
            for axis, side in enumerate(self.shape)
        )
        spots = (rows * heights).astype(np.float32) @ cols.astype(np.float32).T
        return 0.4 + spots

    def frame(self, photons, rng, shift=(0.0, 0.0), activity=None, dtype=np.int16):
        """One noisy frame: 30 counts per photon, read noise of 10 counts."""
        counts = 30 * rng.poisson(photons * self.image(shift, activity))
        noisy = counts + rng.normal(0, 10, self.shape)
        return np.clip(np.rint(noisy), *_limits(dtype)).astype(dtype)

    def template(self, photons, rng, n_frames=40) -> np.ndarray:
        """Mean of still frames, in counts, with the noise such a mean has."""
        counts = 30 * rng.poisson(n_frames * photons * self.image())
        return (counts / n_frames).astype(np.float32)

    def rois(self) -> RoiSet:
        """Uniform discs of 5 px around the cells; places are never near an edge."""
        grid = np.mgrid[: self.shape[0], : self.shape[1]]
        discs = []
        for place in self.places[: self.n_cells]:
            distance = np.hypot(grid[0] - place[0], grid[1] - place[1])
            rows, cols = np.nonzero(distance <= CELL_RADIUS_PX)
            discs.append((rows, cols, np.ones(len(rows))))
        return from_pixels(np.arange(self.n_cells) + 100, self.shape, discs)


def field(shape=(256, 256), seed=0) -> Field:
    rng = np.random.default_rng(seed)
    area = shape[0] * shape[1]
    counts = max(3, area // 900), max(20, area // 150), max(4, area // 3000)
    margins = (min(10, min(shape) // 4), -20, -40)
    places = np.concatenate(
        [
            rng.uniform(margin, np.array(shape) - margin, (count, 2))
            for count, margin in zip(counts, margins, strict=True)
        ]
    )
    sigmas = np.repeat([CELL_SIGMA_PX, 2.0, 20.0], counts)
    heights = np.concatenate(
        [
            rng.lognormal(0.0, 0.4, counts[0]) * 2.0,
            rng.uniform(0.0, 0.9, counts[1]),
            rng.uniform(0.0, 0.4, counts[2]),
        ]
    )
    return Field(shape, places, sigmas, heights, counts[0])


def _limits(dtype):
    info = np.iinfo(dtype)
    return info.min, info.max


def save_as_suite2p(fields: list[Field], folder: Path) -> None:
    """Leave masks of planes as Suite2p leaves them."""
    for number, field in enumerate(fields):
        stat = [
            {"ypix": rows, "xpix": cols, "lam": weights}
            for rows, cols, weights in field.rois().pixels()
        ]
        plane = folder / f"plane{number}"
        plane.mkdir(parents=True)
        np.save(plane / "stat.npy", np.array(stat, object), allow_pickle=True)
