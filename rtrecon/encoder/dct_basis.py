"""Stimuli as a few coefficients per frame, along the axes of their stimulus space.

Ordered axes are transformed to frequencies (DCT), and those above the cutoff of the
space are left out; categories stay as they are. Of a movie of 36 x 64 px, encoder and
inversion use about 470 coefficients per frame in place of 2304 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from scipy.fft import dct

from rtrecon.stimulus_space.axis import Axis
from rtrecon.stimulus_space.space import (
    CONTRAST_LEVELS,
    MIDDLE_LEVEL,
    StimulusSpace,
)
from rtrecon.stimulus_space.video import VIDEO


@dataclass(frozen=True)
class DctBasis:
    """Orthonormal basis of frames of (height, width) values below a cutoff frequency.

    vectors: (n_coef, height * width) float32, one row per coefficient, lowest frequency
    first; each is the outer product of a row of `vertical` (n_y, height) and one of
    `horizontal` (n_x, width). grid_indices: (n_coef,) its index in the flattened (n_y,
    n_x) grid of all such products. cycles_per_px: (n_coef,) frequency of each row.
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

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self.vertical.shape[1], self.horizontal.shape[1]

    def from_pixels(self, frames: np.ndarray) -> torch.Tensor:
        """Return coefficients (T, n_coef) of frames (T, height, width) of levels."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames, np.float32))
        contrast = (pixels.reshape(len(frames), -1) - MIDDLE_LEVEL) / CONTRAST_LEVELS
        return contrast @ self.vectors.T

    def to_pixels(self, coef: torch.Tensor) -> np.ndarray:
        """Return float32 frames (T, height, width) in 0..255 of (T, n_coef)."""
        frames = self.to_levels(coef).add_(MIDDLE_LEVEL).clamp_(0, 255)
        return np.asarray(frames.numpy(), np.float32)

    def to_levels(self, coef: torch.Tensor) -> torch.Tensor:
        """Return (T, height, width) of (T, n_coef): levels above the middle."""
        # One dimension after the other takes a tenth of the work of `coef @ vectors`.
        n_y, n_x = len(self.vertical), len(self.horizontal)
        grid = coef.new_zeros(len(coef), n_y * n_x)
        grid[:, self.grid_indices] = coef
        contrast = self.vertical.T @ (grid.view(len(coef), n_y, n_x) @ self.horizontal)
        return contrast.mul_(CONTRAST_LEVELS)

    def pixel_sd(self, variance: torch.Tensor) -> np.ndarray:
        """Return the s.d. (height, width) of each value, in levels.

        variance: (n_coef,) of independent coefficients.
        """
        sd = (variance @ self._squared_vectors).sqrt() * CONTRAST_LEVELS
        return np.asarray(sd.reshape(self.shape).numpy(), np.float32)

    @cached_property
    def _squared_vectors(self) -> torch.Tensor:
        return self.vectors.square()


@cache
def make_dct_basis(space: StimulusSpace = VIDEO) -> DctBasis:
    """Return the basis of all frequencies below the space's cutoff."""
    first, second = space.axes
    rows, cols = _make_functions(first), _make_functions(second)
    fy, fx = _list_frequencies(first), _list_frequencies(second)
    cycles_per_px = np.hypot(fy[:, None], fx[None])
    order = np.argsort(cycles_per_px, axis=None, kind="stable")
    selected = order[cycles_per_px.ravel()[order] < space.cutoff_cycles]
    ky, kx = np.unravel_index(selected, space.shape)
    vectors = rows[ky][:, :, None] * cols[kx][:, None, :]
    n_y, n_x = ky.max() + 1, kx.max() + 1
    return DctBasis(
        vectors=_to_float32(vectors.reshape(len(selected), -1)),
        cycles_per_px=_to_float32(cycles_per_px[ky, kx]),
        vertical=_to_float32(rows[:n_y]),
        horizontal=_to_float32(cols[:n_x]),
        grid_indices=torch.from_numpy(ky * n_x + kx),
    )


def _make_functions(axis: Axis) -> np.ndarray:
    """Return (size, size), one function per row: cosines, or single categories."""
    identity = np.eye(axis.size)
    return dct(identity, axis=0, norm="ortho") if axis.is_ordered else identity


def _list_frequencies(axis: Axis) -> np.ndarray:
    """Return (size,) cycles per position; 0 for categories, which are never cut."""
    return np.arange(axis.size) / (2 * axis.size) * axis.is_ordered


def _to_float32(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
