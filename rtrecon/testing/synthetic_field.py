"""A synthetic field of view that can be shifted by any amount, exactly.

Cells are Gaussian spots on a fine and on a broad texture of more spots. An image
shifted by a fraction of a pixel is computed from the formula, not interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, build_roi_set

CELL_SIGMA_PX = 3.0
CELL_RADIUS_PX = 5.0
COUNTS_PER_PHOTON = 30
READ_NOISE_COUNTS = 10
FIRST_ROI_ID = 100

Shift = Sequence[float] | Array  # y, x in px


@dataclass(frozen=True)
class SyntheticField:
    """Spots at `positions` (n, 2) in px; the first `n_cells` are cells.

    sigmas: (n,) size in px. heights: (n,) brightness.
    """

    shape: tuple[int, int]
    positions: Array
    sigmas: Array
    heights: Array
    n_cells: int

    def render_image(
        self, shift: Shift = (0.0, 0.0), activity: Array | None = None
    ) -> Array:
        """Return brightness (lines, pixels), about 1; activity (n_cells,) is dF/F."""
        heights = self.heights.copy()
        if activity is not None:
            heights[: self.n_cells] *= 1 + np.asarray(activity)
        profiles = []
        for axis, side in enumerate(self.shape):
            distance = np.arange(side)[:, None] - self.positions[:, axis] - shift[axis]
            profiles.append(np.exp(-0.5 * (distance / self.sigmas) ** 2))
        rows, cols = profiles
        spots: Array = (rows * heights).astype(np.float32) @ cols.astype(np.float32).T
        return 0.4 + spots

    def render_frame(
        self,
        photons: float,
        rng: np.random.Generator,
        shift: Shift = (0.0, 0.0),
        activity: Array | None = None,
        dtype: type[np.integer] = np.int16,
    ) -> Array:
        """Return one frame with photon noise and read noise, in counts.

        photons: mean number per pixel.
        """
        image = self.render_image(shift, activity)
        counts = COUNTS_PER_PHOTON * rng.poisson(photons * image)
        noisy = counts + rng.normal(0, READ_NOISE_COUNTS, self.shape)
        limits = np.iinfo(dtype)
        return np.clip(np.rint(noisy), limits.min, limits.max).astype(dtype)

    def render_template(
        self, photons: float, rng: np.random.Generator, n_frames: int = 40
    ) -> Array:
        """Return the mean of unshifted frames, in counts, with its photon noise."""
        counts = rng.poisson(n_frames * photons * self.render_image())
        return (COUNTS_PER_PHOTON * counts / n_frames).astype(np.float32)

    def make_rois(self) -> RoiSet:
        """Return a disc of 5 px with equal weights around each cell."""
        rows, cols = np.mgrid[: self.shape[0], : self.shape[1]]
        discs = []
        for y, x in self.positions[: self.n_cells]:
            inside = np.nonzero(np.hypot(rows - y, cols - x) <= CELL_RADIUS_PX)
            discs.append((inside[0], inside[1], np.ones(len(inside[0]))))
        ids = np.arange(self.n_cells) + FIRST_ROI_ID
        return build_roi_set(ids, self.shape, discs)


def make_field(shape: tuple[int, int] = (256, 256), seed: int = 0) -> SyntheticField:
    """Return a field with one cell per 900 pixels, none close to an edge."""
    rng = np.random.default_rng(seed)
    area = shape[0] * shape[1]
    counts = max(3, area // 900), max(20, area // 150), max(4, area // 3000)
    margins = (min(10, min(shape) // 4), -20, -40)
    positions = [
        rng.uniform(margin, np.array(shape) - margin, (count, 2))
        for count, margin in zip(counts, margins, strict=True)
    ]
    heights = [
        rng.lognormal(0.0, 0.4, counts[0]) * 2.0,
        rng.uniform(0.0, 0.9, counts[1]),
        rng.uniform(0.0, 0.4, counts[2]),
    ]
    return SyntheticField(
        shape=shape,
        positions=np.concatenate(positions),
        sigmas=np.repeat([CELL_SIGMA_PX, 2.0, 20.0], counts),
        heights=np.concatenate(heights),
        n_cells=counts[0],
    )


def write_suite2p_masks(fields: Sequence[SyntheticField], folder: Path) -> None:
    """Write the masks of several planes as Suite2p does."""
    for number, field in enumerate(fields):
        stat = [
            {"ypix": rows, "xpix": cols, "lam": weights}
            for rows, cols, weights in field.make_rois().list_pixels()
        ]
        plane = folder / f"plane{number}"
        plane.mkdir(parents=True)
        np.save(plane / "stat.npy", np.array(stat, object), allow_pickle=True)
