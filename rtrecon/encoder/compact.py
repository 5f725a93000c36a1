"""The compact encoder: two local filters of a frame per neuron, made to be inverted.

Each neuron filters the movie with two spatial filters of its own, each delayed by a few
shared causal temporal kernels, and mixes the results into two channels. Half-squares
of the channels make it simple, complex or direction-selective (Adelson & Bergen 1985).
Its drive is divided by the drive of neurons around it (Heeger 1992), raised to a power
and multiplied by a gain that follows behavior. Frames are `DctBasis` coefficients. The
encoder is causal and cheap to differentiate with respect to the movie.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.core.errors import UserError
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO, compute_magnification

MEMORY_FRAMES = 12  # frames that a prediction depends on, its own included
N_KERNELS = 4
_POOL_GRID = (6, 10)  # nodes over the screen; keeps the pool's cost linear in neurons
_POOL_SIGMA_PX = 7.0  # at 36 x 64 px
_POOL_SIGMA_SHARE = 0.2  # of the first axis, where frames are no pictures
EPSILON = 1e-3  # added to energy and to relative drive, to keep root and log finite
_BLOCK_FRAMES = 36  # frames convolved by one matrix product


class CompactEncoder(nn.Module):
    """Expected activity of n neurons from C DCT coefficients per frame.

    spatial_filters (2 n, C): the first filter of every neuron, then the second.
    temporal_weights (2 channels, 2 filters, N_KERNELS, n). rectifier_weights (4, n): of
    each channel's positive and negative half. semisaturation, log_exponent, log_scale,
    offset (n,). behavior_gain (4, n): log gain per standardized behavior, in the order
    of `BEHAVIOR`. pool_weights (n, g), unpool_weights (g, n): the normalization pool.
    """

    past_frames = MEMORY_FRAMES - 1

    spatial_filters: Tensor
    pool_weights: Tensor
    unpool_weights: Tensor
    _toeplitz: Tensor

    def __init__(self, n_coef: int, n_neurons: int) -> None:
        super().__init__()
        n_grid = _POOL_GRID[0] * _POOL_GRID[1]
        self.register_buffer("spatial_filters", torch.zeros(2 * n_neurons, n_coef))
        self.register_buffer("pool_weights", torch.zeros(n_neurons, n_grid))
        self.register_buffer("unpool_weights", torch.zeros(n_grid, n_neurons))
        self.temporal_weights = nn.Parameter(torch.zeros(2, 2, N_KERNELS, n_neurons))
        self.rectifier_weights = nn.Parameter(torch.full((4, n_neurons), 0.5))
        self.semisaturation = nn.Parameter(torch.ones(n_neurons))
        self.log_exponent = nn.Parameter(torch.full((n_neurons,), 0.4))
        self.log_scale = nn.Parameter(torch.zeros(n_neurons))
        self.offset = nn.Parameter(torch.full((n_neurons,), EPSILON))
        self.behavior_gain = nn.Parameter(torch.zeros(len(BEHAVIOR), n_neurons))
        toeplitz = _make_toeplitz(make_temporal_kernels())
        self.register_buffer("_toeplitz", toeplitz, persistent=False)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.semisaturation)

    @property
    def device(self) -> torch.device:
        """The device that its weights are on."""
        return self.semisaturation.device

    def predict(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) from frames (past_frames + T, C); see `LiveEncoder`."""
        n_frames = len(frames) - self.past_frames
        filtered = self.apply_spatial_filters(frames)
        return self.predict_from_filtered(filtered, behavior[-n_frames:])

    def lag_weights(self) -> Tensor:
        """Return (MEMORY_FRAMES, n): the energy of taps, lag 0 first, as shares."""
        energy = self.compute_taps().square().sum((0, 1)).flip(0)
        return energy / energy.sum(0).clamp(min=EPSILON)

    def reduce_memory(self) -> str:
        """Refuse: this encoder is too small to be computed in parts."""
        raise UserError(
            f"{self.device} has too little memory for a window of {self.n_neurons} "
            "neurons; end what else uses it, or set inversion.device = 'cpu'"
        )

    def apply_spatial_filters(self, coef: Tensor) -> Tensor:
        """Return (T, 2 n): the outputs of the spatial filters for frames (T, C)."""
        return functional.linear(coef, self.spatial_filters)

    def predict_from_filtered(self, filtered: Tensor, behavior: Tensor) -> Tensor:
        """Return expected activity (T, n) > 0.

        filtered: (T + MEMORY_FRAMES - 1, 2 n) from `apply_spatial_filters`, oldest
        first. behavior: (T, 4) standardized, in the order of `BEHAVIOR`, 0 where
        unknown.
        """
        return self.apply_nonlinearity(self._compute_drive(filtered), behavior)

    def apply_nonlinearity(self, drive: Tensor, behavior: Tensor) -> Tensor:
        """Return expected activity (T, n) > 0 of neurons with drive (T, n)."""
        pooled = (drive @ self.pool_weights) @ self.unpool_weights
        normalization = self.semisaturation.abs() + pooled
        log_normalized = (drive / normalization + EPSILON).log()
        log_tuned = log_normalized * self.log_exponent.exp()
        log_driven = log_tuned + self.compute_log_gain(behavior)
        return log_driven.exp() + self.baseline_activity()

    def compute_log_gain(self, behavior: Tensor) -> Tensor:
        """Return (T, n): log of the factor on the tuned drive."""
        return behavior @ self.behavior_gain + self.log_scale

    def baseline_activity(self) -> Tensor:
        """Return (n,) > 0: activity that does not depend on the movie."""
        return self.offset.abs() + 1e-5

    def compute_taps(self) -> Tensor:
        """Return (2 channels, 2 filters, MEMORY_FRAMES, n) taps, oldest frame first."""
        kernels = make_temporal_kernels().to(self.device).flip(1)
        return torch.einsum("cfkn,kd->cfdn", self.temporal_weights, kernels)

    def set_normalization_pool(
        self, centers: np.ndarray, space: StimulusSpace = VIDEO
    ) -> None:
        """Set the pool for receptive fields at (n, 2), positions on the two axes."""
        nearness = torch.from_numpy(_compute_nearness(centers, space)).float()
        self.pool_weights.copy_(nearness / nearness.sum(0))
        self.unpool_weights.copy_((nearness / nearness.sum(1, keepdim=True)).T)

    def _compute_drive(self, filtered: Tensor) -> Tensor:
        delayed = self._apply_temporal_kernels(filtered)  # (kernel, T, 2 n)
        weight = self.rectifier_weights.square()
        energy = torch.full((), EPSILON)
        for channel in range(2):
            mix = self.temporal_weights[channel].transpose(0, 1).flatten(1)
            per_filter = (delayed * mix[:, None]).sum(0)  # (T, 2 n)
            response = per_filter[:, : self.n_neurons] + per_filter[:, self.n_neurons :]
            positive, negative = weight[2 * channel], weight[2 * channel + 1]
            half_weight = torch.where(response > 0, positive, negative)
            energy = energy + response.square() * half_weight
        return energy.sqrt()

    def _apply_temporal_kernels(self, filtered: Tensor) -> Tensor:
        """Return (N_KERNELS, T, 2 n): every causal kernel over filter outputs."""
        n_frames = filtered.shape[0] - MEMORY_FRAMES + 1
        blocks = []
        for start in range(0, n_frames, _BLOCK_FRAMES):
            size = min(_BLOCK_FRAMES, n_frames - start)
            n_past = MEMORY_FRAMES - 1
            kernel = self._toeplitz[:, :size, : size + n_past].flatten(0, 1)
            block = kernel @ filtered[start : start + size + n_past]
            blocks.append(block.reshape(N_KERNELS, size, -1))
        return torch.cat(blocks, 1) if len(blocks) > 1 else blocks[0]


def make_temporal_kernels() -> Tensor:
    """Return (N_KERNELS, MEMORY_FRAMES) gamma bumps with later peaks, unit norm."""
    t = np.arange(MEMORY_FRAMES, dtype=np.float64)
    peaks = (0.8, 1.8, 3.3, 5.5)  # frames of 1/30 s
    bumps = np.stack([(t / p) ** 3 * np.exp(3 * (1 - t / p)) for p in peaks])
    bumps /= np.linalg.norm(bumps, axis=1, keepdims=True)
    return torch.from_numpy(bumps).float()


def _make_toeplitz(kernels: Tensor) -> Tensor:
    """Return (K, block, block + MEMORY_FRAMES - 1): convolution as a matrix."""
    n_kernels = len(kernels)
    out = torch.zeros(n_kernels, _BLOCK_FRAMES, _BLOCK_FRAMES + MEMORY_FRAMES - 1)
    for t in range(_BLOCK_FRAMES):
        out[:, t, t : t + MEMORY_FRAMES] = kernels.flip(1)
    return out


def _compute_nearness(centers: np.ndarray, space: StimulusSpace) -> np.ndarray:
    """Return (n, nodes): a Gaussian of the distance to each node of the pool's grid."""
    rows, cols = ((np.arange(n) + 0.5) / n for n in _POOL_GRID)
    height, width = space.shape
    if space.is_picture:
        sigma = _POOL_SIGMA_PX * compute_magnification(space.shape)
    else:
        sigma = _POOL_SIGMA_SHARE * height
    grid = np.stack(np.meshgrid(rows * height, cols * width, indexing="ij"), -1)
    distance_squared = ((centers[:, None] - grid.reshape(1, -1, 2)) ** 2).sum(-1)
    return np.asarray(np.exp(-distance_squared / (2 * sigma**2)) + 1e-6)
