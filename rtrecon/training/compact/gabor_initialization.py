"""Initialization without known neurons: a bank of Gabor pairs finds receptive fields.

The pair whose energy, opponent motion or phase correlates best with a neuron's activity
(Nishimoto et al. 2011) is where the training of its own filters starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.encoder.compact import MEMORY_FRAMES, make_temporal_kernels
from rtrecon.encoder.dct_basis import DctBasis
from rtrecon.stimulus_space.video import compute_magnification

_N_ORIENTATIONS = 4
# sigma in px, grid step in px, cycles per px; all at 36 x 64 px
_SCALES = ((2.0, 3.6, 0.12), (3.0, 5.0, 0.09), (4.5, 7.0, 0.06))
_CHUNK_FRAMES = 1000


@dataclass(frozen=True)
class GaborMatch:
    """Best Gabor pair of each neuron.

    center (n, 2) px. even, odd (n, pixels): its filters. direction (n,) -1..1: opponent
    motion. phase (4, n): correlation with its even and odd outputs, fast, then slow.
    """

    center: np.ndarray
    even: Tensor
    odd: Tensor
    direction: Tensor
    phase: Tensor


def init_from_gabors(basis: DctBasis, coef: Tensor, activity: Tensor) -> GaborMatch:
    """Find each neuron's best pair; coef (T, C), activity (T, n), same frames."""
    pairs, centers = _make_gabor_pairs(basis.shape)
    filters = torch.cat([pairs[0], pairs[1]]) @ basis.vectors.T
    correlation = _correlate(filters, coef, activity)  # 8 kinds, pair, neuron
    evidence = correlation[:4].clamp(min=0).square().amax(0)
    best = (evidence + correlation[4:].square().sum(0)).argmax(0)
    of_best = correlation[:, best, torch.arange(activity.shape[1])]
    toward, away = of_best[2], of_best[3]
    return GaborMatch(
        center=centers[best.numpy()],
        even=pairs[0, best],
        odd=pairs[1, best],
        direction=(toward - away) / (toward.abs() + away.abs() + 0.02),
        phase=of_best[4:],
    )


def _correlate(filters: Tensor, coef: Tensor, activity: Tensor) -> Tensor:
    """Return (8, pairs, n) Pearson correlations of every feature with every neuron."""
    scaled = (activity - activity.mean(0)) / (activity.std(0) + 1e-9)
    n_features = 4 * len(filters)
    cross = torch.zeros(n_features, activity.shape[1])
    total, squares, count = torch.zeros(n_features), torch.zeros(n_features), 0
    for start in range(0, len(coef) - MEMORY_FRAMES + 1, _CHUNK_FRAMES):
        part = _compute_features(
            coef[start : start + _CHUNK_FRAMES + MEMORY_FRAMES - 1] @ filters.T
        )
        first = start + MEMORY_FRAMES - 1
        cross += part.T @ scaled[first : first + len(part)]
        total += part.sum(0)
        squares += part.square().sum(0)
        count += len(part)
    spread = (squares / count - (total / count) ** 2).clamp(min=1e-9).sqrt()
    return (cross / (count * spread[:, None])).unflatten(0, (8, -1))


def _compute_features(filtered: Tensor) -> Tensor:
    """Return (T, 8 pairs): two energies, two directions, four phases, kind-major."""
    fast_and_slow = make_temporal_kernels()[1:3] - 0.5 * make_temporal_kernels()[2:4]
    windows = filtered.unfold(0, MEMORY_FRAMES, 1)  # (T, 2 pairs, 12), oldest first
    fast, slow = torch.einsum("tpm,km->ktp", windows, fast_and_slow.flip(1))
    a, b = fast.chunk(2, 1)
    c, d = slow.chunk(2, 1)
    energies = [torch.hypot(a, b), torch.hypot(c, d)]
    motion = [torch.hypot(a + d, b - c), torch.hypot(a - d, b + c)]
    return torch.cat([*energies, *motion, a, b, c, d], 1)


def _make_gabor_pairs(shape: tuple[int, int]) -> tuple[Tensor, np.ndarray]:
    """Return (2, pairs, pixels) even and odd Gabors, and their centers (pairs, 2)."""
    pairs, centers = [], []
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    magnification = compute_magnification(shape)
    for scale in _SCALES:
        sigma, step = scale[0] * magnification, scale[1] * magnification
        cycles = scale[2] / magnification
        for cy in _make_grid(shape[0], step):
            for cx in _make_grid(shape[1], step):
                distance_squared = (x - cx) ** 2 + (y - cy) ** 2
                envelope = np.exp(-distance_squared / (2 * sigma**2)) / sigma
                for angle in np.arange(_N_ORIENTATIONS) * np.pi / _N_ORIENTATIONS:
                    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
                    pairs.append(envelope * np.exp(2j * np.pi * cycles * along))
                    centers.append((cy, cx))
    flat = np.stack(pairs).reshape(len(pairs), -1)
    both = np.stack([flat.real, flat.imag]).astype(np.float32)
    both[np.abs(both) < 1e-6] = 0  # denormal numbers are slow to multiply
    return torch.from_numpy(both), np.array(centers)


def _make_grid(size: int, step: float) -> np.ndarray:
    count = round(size / step)
    return (np.arange(count) + 0.5) * size / count - 0.5
