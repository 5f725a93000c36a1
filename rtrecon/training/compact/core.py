"""What known neurons tell of new ones: how neurons look at the screen at all.

The core of a trained encoder is two things, and training on new neurons changes
neither. *Examples*, some of its neurons with their tuning, each moved to the middle:
laid all over the screen, they tell where, and as what, a new neuron looks. And a
*bank*, the principal components of all its filters: a new neuron's filters are mixtures
of it, a few dozen weights in place of hundreds of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.compact import Compact
from rtrecon.encoder.spectrum import SHAPE, spectrum

TUNING = ("mix", "halves", "rest", "log_power")  # of an example; neurons come last
_REACH_PX = 15  # of a filter from its middle: three s.d. of a neuron's window
_SIDE_PX = 2 * _REACH_PX + 1
_COMPONENTS = 40
_EXAMPLES = 100
_NEGLIGIBLE = 1e-4  # size of a component that is only rounding, of the largest


@dataclass(frozen=True)
class Core:
    """bank (K, side, side) orthonormal px, usual (K,) s.d. of weights on it.

    pairs (2, m, side, side): filters of the examples; tuning: what `TUNING` names of
    an encoder, of the same m neurons.
    """

    bank: Tensor
    usual: Tensor
    pairs: Tensor
    tuning: dict[str, Tensor]


def core_of(model: Compact) -> Core:
    """Return the core of a trained encoder."""
    pixels = (model.filters @ spectrum().basis).reshape(2, -1, *SHAPE).numpy()
    middles = _middles((pixels**2).sum(0))
    cut = [_cut(pixels[:, i], middle) for i, middle in enumerate(middles)]
    pairs = torch.from_numpy(np.stack(cut, axis=1))
    bank, usual = _components(pairs.flatten(0, 1).flatten(1))
    chosen = np.linspace(0, model.n_neurons - 1, min(_EXAMPLES, model.n_neurons))
    places = torch.from_numpy(chosen.astype(np.int64))
    tuning = {name: getattr(model, name).detach()[..., places] for name in TUNING}
    return Core(bank, usual, pairs[:, places], tuning)


def laid(patches: Tensor, center: Array) -> Tensor:
    """Return (m, 2304): patches (m, side, side) about a place, cut at the edges.

    center: y and x in px; the nearest pixel is taken.
    """
    height, width = SHAPE
    y, x = np.clip(np.rint(center).astype(int), 0, (height - 1, width - 1))
    room = torch.zeros(len(patches), height + 2 * _REACH_PX, width + 2 * _REACH_PX)
    room[:, y : y + _SIDE_PX, x : x + _SIDE_PX] = patches
    inside = room[:, _REACH_PX : _REACH_PX + height, _REACH_PX : _REACH_PX + width]
    return inside.flatten(1)


def _components(filters: Tensor) -> tuple[Tensor, Tensor]:
    """Return (bank, usual) of filters (2 n, side * side), each counting alike."""
    unit = filters / filters.norm(dim=1, keepdim=True).clamp(min=1e-9)
    _, size, components = torch.linalg.svd(unit, full_matrices=False)
    k = min(_COMPONENTS, int((size > _NEGLIGIBLE * size[0]).sum()))
    usual = size[:k] / size[:k].norm()
    return components[:k].unflatten(1, (_SIDE_PX, _SIDE_PX)).contiguous(), usual


def _middles(energy: Array) -> Array:
    """Return (n, 2): where the energy (n, 36, 64) of each neuron's filters lies."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    share = energy / np.maximum(energy.sum((1, 2), keepdims=True), 1e-12)
    return np.stack([(share * y).sum((1, 2)), (share * x).sum((1, 2))], 1)


def _cut(pair: Array, center: Array) -> Array:
    """Return (2, side, side) of a pair (2, 36, 64), zero beyond the screen."""
    y, x = np.rint(center).astype(int)
    padded = np.pad(pair, ((0, 0), (_REACH_PX, _REACH_PX), (_REACH_PX, _REACH_PX)))
    return padded[:, y : y + _SIDE_PX, x : x + _SIDE_PX]
