"""First filters of a compact encoder from linear receptive fields, for any sense.

Ridge regression finds each neuron's receptive field over coefficients and lags. Its two
strongest separable parts (singular value decomposition) become the two filters and
their course in time. Gabor filters, which movies start from, are for pictures only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rtrecon.core.types import Array
from rtrecon.encoder.compact import (
    MEMORY_FRAMES,
    CompactEncoder,
    make_temporal_kernels,
)
from rtrecon.encoder.dct_basis import DctBasis

_PENALTY = 0.03  # of the regression, in units of a coefficient's variance
_SEGMENT_FRAMES = 2000
_RECTIFIERS = (1.0, 0.3, 0.4, 0.4)  # of each channel's positive and negative half
_SECOND_CHANNEL = 0.6  # of the first, so that it starts smaller


@dataclass(frozen=True)
class FieldMatch:
    """Two separable parts of each neuron's receptive field.

    filters: (2, n, C), whose outputs have s.d. 1. courses: (2, n, N_KERNELS) weights of
    the temporal kernels. center: (n, 2) on the two axes of a frame.
    """

    filters: Tensor
    courses: Tensor
    center: Array


class FreeFilters(nn.Module):
    """Two filters for each of n neurons, coefficient by coefficient."""

    def __init__(self, n_neurons: int, n_coef: int) -> None:
        super().__init__()
        self.filters = nn.Parameter(torch.zeros(2 * n_neurons, n_coef))

    def initialize(self, match: FieldMatch) -> None:
        """Set the filters to the matched ones."""
        with torch.no_grad():
            self.filters.copy_(match.filters.flatten(0, 1))

    def compute_filters(self) -> Tensor:
        """Return the filters (2 n, C)."""
        return self.filters

    def penalty(self) -> Tensor:
        """Return the energy of the filters."""
        return self.filters.square().sum()


def match_receptive_fields(
    basis: DctBasis, coef: Tensor, activity: Tensor
) -> FieldMatch:
    """Return the match of frames (T, C) and activity (T, n) without NaN."""
    mean = coef.mean(0)
    square, cross = _sum_products(coef - mean, activity - activity.mean(0))
    scale = square.diagonal().mean()
    penalized = square + _PENALTY * scale * torch.eye(len(square))
    fields = torch.cholesky_solve(cross, torch.linalg.cholesky(penalized))
    fields = fields.view(MEMORY_FRAMES, coef.shape[1], -1).permute(2, 0, 1)
    lags, strengths, filters = torch.linalg.svd(fields, full_matrices=False)
    parts = filters[:, :2]  # (n, 2, C)
    output_sd = ((coef - mean) @ parts.flatten(0, 1).T).std(0).view(-1, 2, 1) + 1e-6
    kernels = make_temporal_kernels()  # (K, lags)
    courses = lags[:, :, :2].transpose(1, 2) * strengths[:, :2, None]  # (n, 2, lags)
    mixes = torch.linalg.lstsq(kernels.T, courses.flatten(0, 1).T).solution.T
    mixes = mixes.view(-1, 2, len(kernels)) * output_sd
    mixes = mixes / (mixes.square().sum((1, 2), keepdim=True).sqrt() + 1e-9)
    return FieldMatch(
        (parts / output_sd).transpose(0, 1).contiguous(),
        mixes.transpose(0, 1).contiguous(),
        _find_centers(basis, parts, strengths),
    )


def set_tuning_from_fields(model: CompactEncoder, match: FieldMatch) -> None:
    """Set the courses in time: the sum of both parts, in channel 2 their contrast."""
    first, second = match.courses.transpose(1, 2)  # (K, n) each
    with torch.no_grad():
        model.temporal_weights[0, 0], model.temporal_weights[0, 1] = first, second
        model.temporal_weights[1, 0] = _SECOND_CHANNEL * first
        model.temporal_weights[1, 1] = -_SECOND_CHANNEL * second
        for row, weight in enumerate(_RECTIFIERS):
            model.rectifier_weights[row] = weight


def _sum_products(coef: Tensor, activity: Tensor) -> tuple[Tensor, Tensor]:
    """Return (L C, L C) and (L C, n): mean products at L lags, lag 0 first."""
    n_features = MEMORY_FRAMES * coef.shape[1]
    square = torch.zeros(n_features, n_features)
    cross = torch.zeros(n_features, activity.shape[1])
    past = MEMORY_FRAMES - 1
    for start in range(past, len(coef), _SEGMENT_FRAMES):
        stop = min(start + _SEGMENT_FRAMES, len(coef))
        lagged = torch.cat(
            [coef[start - lag : stop - lag] for lag in range(MEMORY_FRAMES)], 1
        )
        square += lagged.T @ lagged
        cross += lagged.T @ activity[start:stop]
    return square / len(coef), cross / len(coef)


def _find_centers(basis: DctBasis, parts: Tensor, strengths: Tensor) -> Array:
    """Return (n, 2): the center of mass of the energy of both parts."""
    shape = basis.vertical.shape[1], basis.horizontal.shape[1]
    frames = (parts @ basis.vectors) * strengths[:, :2, None]
    energy = frames.square().sum(1).view(-1, *shape).numpy() + 1e-12
    energy = energy / energy.sum((1, 2), keepdims=True)
    rows, columns = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
    return np.stack([energy.sum(2) @ rows, energy.sum(1) @ columns], 1)
