"""CutMix (Yun et al. 2019): a box of another clip, pasted into every frame of this one.

A neuron sees its own window of the screen, so its activity is mixed by the share of
that window which the box covers, not by the share of the screen.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rtrecon.encoder.spectrum import SHAPE
from rtrecon.training.compact.data import Data


def cutmix(
    part: Data, other: Data, looks: tuple[Tensor, Tensor], rng: np.random.Generator
) -> Data:
    """Return `part` with a box of `other`, of as many frames.

    looks: windows (n, 2304) of the neurons, and the spectrum's basis, on the device of
    the parts. The box covers any share of the screen, all alike likely.
    """
    window, basis = looks
    box = _box(rng).to(basis.device)
    share = (window * box).sum(1) / window.sum(1)
    pasted = ((other.coef - part.coef) @ basis * box) @ basis.T
    return Data(
        coef=part.coef + pasted,
        behavior=part.behavior.lerp(other.behavior, float(box.mean())),
        activity=part.activity + share * (other.activity - part.activity),
    )


def _box(rng: np.random.Generator) -> Tensor:
    """Return (2304,) 0 or 1: inside a box of the screen's proportions."""
    side = np.sqrt(rng.random())
    inside = []
    for size in SHAPE:
        middle, half = rng.random() * size, side * size / 2
        inside.append(np.abs(np.arange(size) + 0.5 - middle) <= half)
    return torch.from_numpy(np.outer(*inside).ravel().astype(np.float32))
