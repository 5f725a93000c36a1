"""Initialization from a core: where each neuron looks, and which example it resembles.

Each example is placed on a grid over the screen. The one whose predicted activity
correlates best with a neuron's is where the training of that neuron starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rtrecon.core.types import Array
from rtrecon.encoder.compact import MEMORY_FRAMES, CompactEncoder
from rtrecon.encoder.dct_basis import DctBasis, make_dct_basis
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from rtrecon.training.compact.core import EncoderCore, place_patches

_STEP_PX = 3.0  # of the grid


@dataclass(frozen=True)
class CoreMatch:
    """Best match of each neuron: center (n, 2) px and index of the example (n,)."""

    center: Array
    example: Tensor


class CoreFilters(nn.Module):
    """Two filters for each of n neurons, as weights (2, n, K) on a core's bank."""

    placed_bank: Tensor
    weight_sd: Tensor

    def __init__(self, basis: DctBasis, centers: Array, core: EncoderCore) -> None:
        super().__init__()
        placed = [
            place_patches(core.bank, center) @ basis.vectors.T for center in centers
        ]
        self.register_buffer("placed_bank", torch.stack(placed), persistent=False)
        self.register_buffer("weight_sd", core.weight_sd, persistent=False)
        self.weights = nn.Parameter(torch.zeros(2, len(centers), len(core.bank)))

    def initialize(self, match: CoreMatch, core: EncoderCore) -> None:
        """Set the weights to those of the matched examples."""
        filters = core.example_filters[:, match.example]
        with torch.no_grad():
            self.weights.copy_(torch.einsum("pnyx,kyx->pnk", filters, core.bank))

    def compute_filters(self) -> Tensor:
        """Return the filters (2 n, C)."""
        filters = torch.einsum("pnk,nkc->pnc", self.weights, self.placed_bank)
        return filters.flatten(0, 1)

    def penalty(self) -> Tensor:
        """Return the energy of weights, each relative to its s.d. in known neurons."""
        return (self.weights / self.weight_sd).square().sum()


def init_from_core(core: EncoderCore, coef: Tensor, activity: Tensor) -> CoreMatch:
    """Find each neuron's best example; coef (T, C), activity (T, n), same frames.

    Takes about six seconds per minute of movie and 100 neurons.
    """
    recorded = _standardize(activity[MEMORY_FRAMES - 1 :])
    best = torch.full((activity.shape[1],), -torch.inf)
    example = torch.zeros(len(best), dtype=torch.int64)
    center = np.zeros((len(best), 2))
    for candidate in _list_candidate_centers():
        predicted = _standardize(_predict_examples(core, candidate, coef))
        r, which = (predicted.T @ recorded / len(recorded)).max(0)
        is_better = r > best
        best[is_better], example[is_better] = r[is_better], which[is_better]
        center[is_better.numpy()] = candidate
    return CoreMatch(center, example)


def _predict_examples(core: EncoderCore, center: Array, coef: Tensor) -> Tensor:
    """Return (T - MEMORY_FRAMES + 1, m): activity of the examples placed at a center.

    Without normalization by other neurons and for mean behavior, as neither is known.
    """
    basis, n_examples = make_dct_basis(), core.example_filters.shape[1]
    model = CompactEncoder(basis.n_coef, n_examples).requires_grad_(False)
    model.load_state_dict(core.example_tuning, strict=False)
    placed = [place_patches(patches, center) for patches in core.example_filters]
    model.spatial_filters = torch.cat(placed) @ basis.vectors.T
    behavior = torch.zeros(len(coef) - MEMORY_FRAMES + 1, len(BEHAVIOR))
    return model.predict_from_filtered(model.apply_spatial_filters(coef), behavior)


def _list_candidate_centers() -> Array:
    y, x = (np.arange(_STEP_PX / 2, size, _STEP_PX) for size in IMAGE_SHAPE)
    return np.stack(np.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)


def _standardize(activity: Tensor) -> Tensor:
    return (activity - activity.mean(0)) / (activity.std(0) + 1e-9)
