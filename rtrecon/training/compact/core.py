"""The core of a trained encoder: what its neurons have in common with new ones.

It has two parts, and training on new neurons changes neither. *Examples* are some of
its neurons with their tuning, each moved to the center of a patch: placed all over the
screen, they show where a new neuron looks, and with which tuning. The *bank* holds the
principal components of all its filters: filters of a new neuron are mixtures of them,
a few dozen weights in place of hundreds of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.stimulus_space.video import IMAGE_SHAPE

TUNING_NAMES = (
    "temporal_weights",
    "rectifier_weights",
    "semisaturation",
    "log_exponent",
)
_PATCH_RADIUS_PX = 15  # three s.d. of a neuron's window
_PATCH_SIDE_PX = 2 * _PATCH_RADIUS_PX + 1
_MAX_COMPONENTS = 40
_MAX_EXAMPLES = 100
_MIN_RELATIVE_SIZE = 1e-4  # smaller components, relative to the largest, are rounding


@dataclass(frozen=True)
class EncoderCore:
    """Bank of filter components, and m example neurons.

    bank (K, side, side): orthonormal, px. weight_sd (K,): relative s.d. of weights on
    it. example_filters (2, m, side, side). example_tuning: the parameters of
    `TUNING_NAMES`, of the same m neurons.
    """

    bank: Tensor
    weight_sd: Tensor
    example_filters: Tensor
    example_tuning: dict[str, Tensor]


def extract_core(model: CompactEncoder) -> EncoderCore:
    """Return the core of a trained encoder."""
    flat = model.spatial_filters @ make_dct_basis().vectors
    pixels = flat.reshape(2, -1, *IMAGE_SHAPE).numpy()
    centers = _compute_centers((pixels**2).sum(0))
    patches = [_cut_patch(pixels[:, i], center) for i, center in enumerate(centers)]
    filters = torch.from_numpy(np.stack(patches, axis=1))
    bank, weight_sd = _compute_principal_components(filters.flatten(0, 1).flatten(1))
    chosen = np.linspace(0, model.n_neurons - 1, min(_MAX_EXAMPLES, model.n_neurons))
    indices = torch.from_numpy(chosen.astype(np.int64))
    tuning = {
        name: getattr(model, name).detach()[..., indices] for name in TUNING_NAMES
    }
    return EncoderCore(bank, weight_sd, filters[:, indices], tuning)


def place_patches(patches: Tensor, center: Array) -> Tensor:
    """Return (m, 2304): patches (m, side, side) at a center, cut at the screen's edges.

    center: y and x in px; the nearest pixel is taken.
    """
    (height, width), radius = IMAGE_SHAPE, _PATCH_RADIUS_PX
    y, x = np.clip(np.rint(center).astype(int), 0, (height - 1, width - 1))
    canvas = torch.zeros(len(patches), height + 2 * radius, width + 2 * radius)
    canvas[:, y : y + _PATCH_SIDE_PX, x : x + _PATCH_SIDE_PX] = patches
    return canvas[:, radius : radius + height, radius : radius + width].flatten(1)


def _compute_principal_components(filters: Tensor) -> tuple[Tensor, Tensor]:
    """Return (bank, weight_sd) of filters (2 n, side * side), each scaled to norm 1."""
    unit = filters / filters.norm(dim=1, keepdim=True).clamp(min=1e-9)
    _, size, components = torch.linalg.svd(unit, full_matrices=False)
    k = min(_MAX_COMPONENTS, int((size > _MIN_RELATIVE_SIZE * size[0]).sum()))
    weight_sd = size[:k] / size[:k].norm()
    bank = components[:k].unflatten(1, (_PATCH_SIDE_PX, _PATCH_SIDE_PX))
    return bank.contiguous(), weight_sd


def _compute_centers(energy: Array) -> Array:
    """Return (n, 2): the center of mass of energies (n, 36, 64), y and x in px."""
    y, x = np.mgrid[: IMAGE_SHAPE[0], : IMAGE_SHAPE[1]]
    share = energy / np.maximum(energy.sum((1, 2), keepdims=True), 1e-12)
    return np.stack([(share * y).sum((1, 2)), (share * x).sum((1, 2))], 1)


def _cut_patch(pair: Array, center: Array) -> Array:
    """Return patches (2, side, side) of filters (2, 36, 64); 0 beyond the screen."""
    y, x = np.rint(center).astype(int)
    margin = _PATCH_RADIUS_PX, _PATCH_RADIUS_PX
    padded = np.pad(pair, ((0, 0), margin, margin))
    return padded[:, y : y + _PATCH_SIDE_PX, x : x + _PATCH_SIDE_PX]
