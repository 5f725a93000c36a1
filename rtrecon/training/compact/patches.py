"""Filters as pixels inside each neuron's window: what training changes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rtrecon.core.types import Array
from rtrecon.encoder.spectrum import SHAPE, Spectrum
from rtrecon.training.compact.gabor_initialization import Guess

_WINDOW_PX = 5.0  # s.d. of the window that keeps a neuron's filters local
_EDGE = 0.02  # where the window is taken to end
_FRAMES = 3000  # that a filter's output is scaled by


class Patches(nn.Module):
    """Two filters for each of n neurons, as pixels (2 n, 2304) seen through windows."""

    basis: Tensor
    window: Tensor

    def __init__(self, spectrum: Spectrum, centers: Array) -> None:
        super().__init__()
        window = windows(centers)
        self.register_buffer("basis", spectrum.basis, persistent=False)
        self.register_buffer("window", torch.cat([window, window]), persistent=False)
        self.pixels = nn.Parameter(torch.zeros_like(self.window))

    def start(self, guess: Guess, coef: Tensor) -> None:
        """Start at the pairs guessed, scaled so that each output has s.d. 1."""
        inside = self.window > _EDGE
        pixels = torch.cat([guess.even, guess.odd]) / self.window.clamp(min=_EDGE)
        pixels = pixels * inside
        spread = (coef[:_FRAMES] @ self._project(pixels).T).std(0)
        with torch.no_grad():
            self.pixels.copy_(pixels / (spread[:, None] + 1e-6))

    def filters(self) -> Tensor:
        """Return (2 n, C)."""
        return self._project(self.pixels)

    def energy(self) -> Tensor:
        """Return the penalty: energy, dearer where the window is low."""
        return (self.pixels.square() * self.window).sum()

    def _project(self, pixels: Tensor) -> Tensor:
        return (pixels * self.window) @ self.basis.T


def windows(centers: Array) -> Tensor:
    """Return (n, 2304), 0..1: where on the screen each neuron may look."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    apart = (y.ravel() - centers[:, :1]) ** 2 + (x.ravel() - centers[:, 1:]) ** 2
    window = np.exp(-apart / (2 * _WINDOW_PX**2)).astype(np.float32)
    window[window < 1e-6] = 0  # denormal numbers are slow to multiply
    return torch.from_numpy(window)
