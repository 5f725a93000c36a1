"""Spatial filters as pixels inside each neuron's window: the form that is trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rtrecon.core.types import Array
from rtrecon.encoder.dct_basis import DctBasis
from rtrecon.stimulus_space.video import IMAGE_SHAPE, compute_magnification
from rtrecon.training.compact.gabor_initialization import GaborMatch

# S.d. of the window that keeps a neuron's filters local, at 36 x 64 px.
_WINDOW_SIGMA_PX = 5.0
_MIN_WINDOW = 0.02  # filters start at 0 where the window is lower
_SCALING_FRAMES = 3000  # frames that the s.d. of a filter's output is measured on


class PatchFilters(nn.Module):
    """Two filters for each of n neurons: pixels (2 n, height * width) times
    windows.
    """

    basis: Tensor
    window: Tensor

    def __init__(self, basis: DctBasis, centers: Array) -> None:
        super().__init__()
        window = make_spatial_windows(centers, basis.shape)
        self.register_buffer("basis", basis.vectors, persistent=False)
        self.register_buffer("window", torch.cat([window, window]), persistent=False)
        self.pixels = nn.Parameter(torch.zeros_like(self.window))

    def initialize(self, match: GaborMatch, coef: Tensor) -> None:
        """Set the pixels to the matched pairs, scaled so that outputs have s.d. 1."""
        is_inside = self.window > _MIN_WINDOW
        pixels = torch.cat([match.even, match.odd]) / self.window.clamp(min=_MIN_WINDOW)
        pixels = pixels * is_inside
        output_sd = (coef[:_SCALING_FRAMES] @ self._project(pixels).T).std(0)
        with torch.no_grad():
            self.pixels.copy_(pixels / (output_sd[:, None] + 1e-6))

    def compute_filters(self) -> Tensor:
        """Return the filters (2 n, C)."""
        return self._project(self.pixels)

    def penalty(self) -> Tensor:
        """Return the energy of filters, which costs more where the window is low."""
        return (self.pixels.square() * self.window).sum()

    def _project(self, pixels: Tensor) -> Tensor:
        return (pixels * self.window) @ self.basis.T


def make_spatial_windows(
    centers: Array, shape: tuple[int, int] = IMAGE_SHAPE
) -> Tensor:
    """Return (n, height * width), 0..1: a Gaussian around the center of each neuron."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    sigma_px = _WINDOW_SIGMA_PX * compute_magnification(shape)
    dy, dx = y.ravel() - centers[:, :1], x.ravel() - centers[:, 1:]
    distance_squared = dy**2 + dx**2
    window = np.exp(-distance_squared / (2 * sigma_px**2)).astype(np.float32)
    window[window < 1e-6] = 0  # denormal numbers are slow to multiply
    return torch.from_numpy(window)
