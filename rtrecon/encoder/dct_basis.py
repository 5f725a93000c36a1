"""Movies as low spatial frequencies: coefficients of the two-dimensional DCT.

Neurons of mouse visual cortex respond to almost nothing above a quarter cycle per pixel
of a 36 x 64 screen. Encoder and inversion therefore use about 470 coefficients per
frame in place of 2304 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from scipy.fft import dct

IMAGE_SHAPE = (36, 64)  # height and width of a stimulus frame, px
GRAY_LEVEL, CONTRAST_LEVELS = 127.0, 60.0  # a pixel enters as (value - 127) / 60
CUTOFF_CYCLES_PER_PX = 0.25


@dataclass(frozen=True)
class DctBasis:
    """Orthonormal basis of the DCT coefficients below a cutoff frequency.

    vectors: (n_coef, 2304) float32, one row per coefficient, lowest frequency first;
    each is the outer product of a row of `vertical` (n_y, 36) and one of `horizontal`
    (n_x, 64). grid_indices: (n_coef,) its index in the flattened (n_y, n_x) grid of all
    such products. cycles_per_px: (n_coef,) spatial frequency of each row.
    """

    vectors: torch.Tensor
    cycles_per_px: torch.Tensor
    vertical: torch.Tensor
    horizontal: torch.Tensor
    grid_indices: torch.Tensor

    @property
    def n_coef(self) -> int:
        """Number of coefficients per frame."""
        return len(self.vectors)

    def from_pixels(self, frames: np.ndarray) -> torch.Tensor:
        """Return coefficients (T, n_coef) of frames (T, 36, 64), uint8 or float."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames, np.float32))
        contrast = (pixels.reshape(len(frames), -1) - GRAY_LEVEL) / CONTRAST_LEVELS
        return contrast @ self.vectors.T

    def to_pixels(self, coef: torch.Tensor) -> np.ndarray:
        """Return float32 frames (T, 36, 64), clipped to 0..255, of (T, n_coef)."""
        frames = self.to_levels(coef).add_(GRAY_LEVEL).clamp_(0, 255)
        return np.asarray(frames.numpy(), np.float32)

    def to_levels(self, coef: torch.Tensor) -> torch.Tensor:
        """Return (T, 36, 64) of (T, n_coef): gray levels above the mean, unclipped."""
        # One dimension after the other takes a tenth of the work of `coef @ vectors`.
        n_y, n_x = len(self.vertical), len(self.horizontal)
        grid = coef.new_zeros(len(coef), n_y * n_x)
        grid[:, self.grid_indices] = coef
        contrast = self.vertical.T @ (grid.view(len(coef), n_y, n_x) @ self.horizontal)
        return contrast.mul_(CONTRAST_LEVELS)

    def pixel_sd(self, variance: torch.Tensor) -> np.ndarray:
        """Return the s.d. (36, 64) of pixels, in gray levels.

        variance: (n_coef,) of independent coefficients.
        """
        sd = (variance @ self._squared_vectors).sqrt() * CONTRAST_LEVELS
        return np.asarray(sd.reshape(IMAGE_SHAPE).numpy(), np.float32)

    @cached_property
    def _squared_vectors(self) -> torch.Tensor:
        return self.vectors.square()


@cache
def make_dct_basis(cutoff_cycles_per_px: float = CUTOFF_CYCLES_PER_PX) -> DctBasis:
    """Return the basis of all frequencies below a cutoff."""
    height, width = IMAGE_SHAPE
    rows = dct(np.eye(height), axis=0, norm="ortho")
    cols = dct(np.eye(width), axis=0, norm="ortho")
    fy = np.arange(height) / (2 * height)
    fx = np.arange(width) / (2 * width)
    cycles_per_px = np.hypot(fy[:, None], fx[None])
    order = np.argsort(cycles_per_px, axis=None, kind="stable")
    selected = order[cycles_per_px.ravel()[order] < cutoff_cycles_per_px]
    ky, kx = np.unravel_index(selected, IMAGE_SHAPE)
    vectors = rows[ky][:, :, None] * cols[kx][:, None, :]
    n_y, n_x = ky.max() + 1, kx.max() + 1
    return DctBasis(
        vectors=_to_float32(vectors.reshape(len(selected), -1)),
        cycles_per_px=_to_float32(cycles_per_px[ky, kx]),
        vertical=_to_float32(rows[:n_y]),
        horizontal=_to_float32(cols[:n_x]),
        grid_indices=torch.from_numpy(ky * n_x + kx),
    )


def _to_float32(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
