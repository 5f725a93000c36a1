"""Movies as low spatial frequencies: the 2-D DCT coefficients that neurons can see.

Mouse visual cortex passes next to nothing above a quarter cycle per pixel of a
36 x 64 screen, so encoder and inversion work on about 450 coefficients per frame in
place of 2304 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.fft import dct

SHAPE = (36, 64)  # height, width in px
GRAY, CONTRAST = 127.0, 60.0  # pixel value <-> (value - 127) / 60
CUTOFF = 0.25  # cycles per px


@dataclass(frozen=True)
class Spectrum:
    """basis (n_coef, 2304) float32: orthonormal rows, lowest frequency first."""

    basis: torch.Tensor
    cycles: torch.Tensor  # (n_coef,) cycles per px

    @property
    def n_coef(self) -> int:
        """Number of coefficients per frame."""
        return len(self.basis)

    def from_pixels(self, frames: np.ndarray) -> torch.Tensor:
        """Return (T, n_coef) from uint8 or float frames (T, 36, 64)."""
        flat = torch.from_numpy(np.ascontiguousarray(frames, np.float32))
        return ((flat.reshape(len(frames), -1) - GRAY) / CONTRAST) @ self.basis.T

    def to_pixels(self, coef: torch.Tensor) -> np.ndarray:
        """Return float32 (T, 36, 64) in 0..255 from (T, n_coef)."""
        flat = (coef @ self.basis) * CONTRAST + GRAY
        return np.asarray(flat.clamp(0, 255).reshape(-1, *SHAPE).numpy(), np.float32)


def spectrum(cutoff: float = CUTOFF) -> Spectrum:
    """Return the coefficients below `cutoff` cycles per px."""
    height, width = SHAPE
    rows = dct(np.eye(height), axis=0, norm="ortho")
    cols = dct(np.eye(width), axis=0, norm="ortho")
    fy = np.arange(height) / (2 * height)
    fx = np.arange(width) / (2 * width)
    cycles = np.hypot(fy[:, None], fx[None])
    order = np.argsort(cycles, axis=None, kind="stable")
    kept = order[cycles.ravel()[order] < cutoff]
    ky, kx = np.unravel_index(kept, SHAPE)
    basis = rows[ky][:, :, None] * cols[kx][:, None, :]
    return Spectrum(
        torch.from_numpy(basis.reshape(len(kept), -1).astype(np.float32)),
        torch.from_numpy(cycles[ky, kx].astype(np.float32)),
    )
