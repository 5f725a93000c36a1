"""The compact encoder: two local filters per neuron, made to be inverted.

Every neuron looks at the movie through two spatial filters of its own, delayed by a few
shared causal temporal kernels and mixed into two channels. Half-squares of the channels
make it simple, complex or direction-selective (Adelson & Bergen 1985); its drive is
divided by the drive around it (Heeger 1992), raised to a power and multiplied by a gain
that follows behaviour. Frames are `Spectrum` coefficients; everything is causal and
cheap to differentiate with respect to the movie.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.core.errors import UserError
from rtrecon.encoder.spectrum import SHAPE
from rtrecon.protocol.behavior import BEHAVIOR

MEMORY = 12  # frames that an answer depends on, the present one included
N_KERNELS = 4
_POOL_GRID = (6, 10)  # nodes over the screen; keeps the pool linear in neurons
_POOL_PX = 7.0
FLOOR = 1e-3  # of energy and of relative drive: no root or log of nothing
_BLOCK = 36  # frames convolved by one matrix product


class Compact(nn.Module):
    """Activity of n neurons from C spectrum coefficients.

    filters (2 n, C): first filter of every neuron, then second. mix (2 channels, 2
    filters, N_KERNELS, n). halves (4, n): weights of the channels' half-squares. rest,
    log_power, log_scale, offset (n,). gain (4, n): log gain by z-scored behaviour, in
    the order of `BEHAVIOR`. gather (n, g), spread (g, n): the pool.
    """

    past_frames = MEMORY - 1

    filters: Tensor
    gather: Tensor
    spread: Tensor
    _toeplitz: Tensor

    def __init__(self, n_coef: int, n_neurons: int) -> None:
        super().__init__()
        n_grid = _POOL_GRID[0] * _POOL_GRID[1]
        self.register_buffer("filters", torch.zeros(2 * n_neurons, n_coef))
        self.register_buffer("gather", torch.zeros(n_neurons, n_grid))
        self.register_buffer("spread", torch.zeros(n_grid, n_neurons))
        self.mix = nn.Parameter(torch.zeros(2, 2, N_KERNELS, n_neurons))
        self.halves = nn.Parameter(torch.full((4, n_neurons), 0.5))
        self.rest = nn.Parameter(torch.ones(n_neurons))
        self.log_power = nn.Parameter(torch.full((n_neurons,), 0.4))
        self.log_scale = nn.Parameter(torch.zeros(n_neurons))
        self.offset = nn.Parameter(torch.full((n_neurons,), FLOOR))
        self.gain = nn.Parameter(torch.zeros(len(BEHAVIOR), n_neurons))
        toeplitz = _toeplitz(temporal_kernels())
        self.register_buffer("_toeplitz", toeplitz, persistent=False)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.rest)

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.rest.device

    def expect(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) from frames (past_frames + T, C); see `LiveEncoder`."""
        n_frames = len(frames) - self.past_frames
        return self.answer(self.look(frames), behavior[-n_frames:])

    def reach(self) -> Tensor:
        """Return (MEMORY, n): the energy of taps, newest frame first, as shares."""
        energy = self.taps().square().sum((0, 1)).flip(0)
        return energy / energy.sum(0).clamp(min=FLOOR)

    def ease(self) -> str:
        """Refuse: what is so small cannot be done in parts."""
        raise UserError(
            f"{self.device} has too little memory for a window of {self.n_neurons} "
            "neurons; end what else uses it, or set invert.device = 'cpu'"
        )

    def look(self, coef: Tensor) -> Tensor:
        """Return (T, 2 n): what the spatial filters see in frames (T, C)."""
        return functional.linear(coef, self.filters)

    def answer(self, seen: Tensor, behavior: Tensor) -> Tensor:
        """Return expected activity (T, n) > 0.

        seen: (T + MEMORY - 1, 2 n) from `look`, oldest first. behavior: (T, 4) z-scored
        in the order of `BEHAVIOR`, 0 where unknown.
        """
        return self.tune(self._drive(seen), behavior)

    def tune(self, drive: Tensor, behavior: Tensor) -> Tensor:
        """Return expected activity (T, n) > 0 of neurons driven so much (T, n)."""
        around = self.rest.abs() + (drive @ self.gather) @ self.spread
        log_tuned = (drive / around + FLOOR).log() * self.log_power.exp()
        return (log_tuned + self.log_gain(behavior)).exp() + self.undriven()

    def log_gain(self, behavior: Tensor) -> Tensor:
        """Return (T, n): log of what tuned drive is multiplied by."""
        return behavior @ self.gain + self.log_scale

    def undriven(self) -> Tensor:
        """Return (n,) > 0: activity that no drive explains."""
        return self.offset.abs() + 1e-5

    def taps(self) -> Tensor:
        """Return (2 channels, 2 filters, MEMORY, n): mixed kernels, oldest first."""
        kernels = temporal_kernels().to(self.device).flip(1)
        return torch.einsum("cfkn,kd->cfdn", self.mix, kernels)

    def set_pool(self, centers: np.ndarray) -> None:
        """Lay the pool over receptive-field centres (n, 2), y and x in px."""
        near = torch.from_numpy(_nearness(centers)).float()
        self.gather.copy_(near / near.sum(0))
        self.spread.copy_((near / near.sum(1, keepdim=True)).T)

    def _drive(self, seen: Tensor) -> Tensor:
        delayed = self._delayed(seen)  # (kernel, T, 2 n)
        weight = self.halves.square()
        energy = torch.full((), FLOOR)
        for channel in range(2):
            mix = self.mix[channel].transpose(0, 1).flatten(1)  # (kernel, 2 n)
            both = (delayed * mix[:, None]).sum(0)
            filtered = both[:, : self.n_neurons] + both[:, self.n_neurons :]
            up, down = weight[2 * channel], weight[2 * channel + 1]
            energy = energy + filtered.square() * torch.where(filtered > 0, up, down)
        return energy.sqrt()

    def _delayed(self, seen: Tensor) -> Tensor:
        """Return (N_KERNELS, T, 2 n): each causal kernel over the frames seen."""
        n_frames = seen.shape[0] - MEMORY + 1
        blocks = []
        for start in range(0, n_frames, _BLOCK):
            size = min(_BLOCK, n_frames - start)
            kernel = self._toeplitz[:, :size, : size + MEMORY - 1].flatten(0, 1)
            block = kernel @ seen[start : start + size + MEMORY - 1]
            blocks.append(block.reshape(N_KERNELS, size, -1))
        return torch.cat(blocks, 1) if len(blocks) > 1 else blocks[0]


def temporal_kernels() -> Tensor:
    """Return (N_KERNELS, MEMORY) gamma bumps that peak ever later, unit norm."""
    t = np.arange(MEMORY, dtype=np.float64)
    peaks = (0.8, 1.8, 3.3, 5.5)  # frames of 1/30 s
    bumps = np.stack([(t / p) ** 3 * np.exp(3 * (1 - t / p)) for p in peaks])
    bumps /= np.linalg.norm(bumps, axis=1, keepdims=True)
    return torch.from_numpy(bumps).float()


def _toeplitz(kernels: Tensor) -> Tensor:
    """Return (K, _BLOCK, _BLOCK + MEMORY - 1): convolution as a matrix, newest last."""
    out = torch.zeros(len(kernels), _BLOCK, _BLOCK + MEMORY - 1)
    for t in range(_BLOCK):
        out[:, t, t : t + MEMORY] = kernels.flip(1)
    return out


def _nearness(centers: np.ndarray) -> np.ndarray:
    rows, cols = ((np.arange(n) + 0.5) / n for n in _POOL_GRID)
    grid = np.stack(np.meshgrid(rows * SHAPE[0], cols * SHAPE[1], indexing="ij"), -1)
    apart = ((centers[:, None] - grid.reshape(1, -1, 2)) ** 2).sum(-1)
    return np.asarray(np.exp(-apart / (2 * _POOL_PX**2)) + 1e-6)
