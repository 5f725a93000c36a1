"""CutMix (Yun et al. 2019): paste a box of another clip into every frame of a clip.

A neuron sees only its own window of the screen, so its activity is mixed by the share
of that window that the box covers, not by the share of the screen.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rtrecon.training.compact.encoder_data import EncoderData


def apply_cutmix(
    data: EncoderData,
    other: EncoderData,
    window_and_basis: tuple[Tensor, Tensor],
    rng: np.random.Generator,
    shape: tuple[int, int],
) -> EncoderData:
    """Return `data` with a box of `other`, which has equally many frames.

    window_and_basis: windows (n, height * width) of the neurons and the DCT basis, on
    the device of the data. shape: height and width. The share of the screen that the
    box covers is uniform in 0..1.
    """
    window, basis = window_and_basis
    box = _draw_box(rng, shape).to(basis.device)
    share = (window * box).sum(1) / window.sum(1)
    pasted = ((other.coef - data.coef) @ basis * box) @ basis.T
    return EncoderData(
        coef=data.coef + pasted,
        behavior=data.behavior.lerp(other.behavior, float(box.mean())),
        activity=data.activity + share * (other.activity - data.activity),
    )


def _draw_box(rng: np.random.Generator, shape: tuple[int, int]) -> Tensor:
    """Return (pixels,), 1 inside a random box of the screen's proportions, else 0."""
    side = np.sqrt(rng.random())
    inside = []
    for size in shape:
        middle, half = rng.random() * size, side * size / 2
        inside.append(np.abs(np.arange(size) + 0.5 - middle) <= half)
    return torch.from_numpy(np.outer(*inside).ravel().astype(np.float32))
