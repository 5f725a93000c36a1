"""Small networks of the published kind, by formula, and files as their authors save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rtrecon.encoder.dwiseneuro.author_files import Model, read_published
from rtrecon.encoder.dwiseneuro.network import Architecture, DwiseNeuro

NARROW = Architecture(
    core_features=(6, 8),
    spatial_strides=(4, 2),
    expansion_ratio=2,
    se_reduce_ratio=4,
    cortex_features=(16, 24),
)
N_NEURONS = (5, 4, 5)  # of mice 0, 1 and 2; an odd number leaves a group padded


def network(seed: int = 0, sizes: Architecture = NARROW) -> DwiseNeuro:
    """Every weight is a sine of its place: the same on every machine."""
    made = DwiseNeuro(sizes, dict(enumerate(N_NEURONS)))
    for order, (key, value) in enumerate(made.state_dict().items()):
        if value.is_floating_point() and not key.endswith("inv_freq"):
            wave = torch.arange(value.numel()).mul(1.7).add(order + 31 * seed).sin()
            spread, middle = _scale(key, value)
            value.copy_((middle + spread * wave).view_as(value))
    return made.requires_grad_(False)


def _scale(key: str, value: Tensor) -> tuple[float, float]:
    """How far weights go, and around what: so that signals neither die nor explode."""
    if key.endswith("running_var"):
        return 0.5, 1.0
    if key.endswith("bn.weight"):
        return 0.3, 1.0
    if value.ndim == 1:
        return 0.3, 0.0
    return 1.5 / value[0].numel() ** 0.5, 0.0


def layout(made: DwiseNeuro, sizes: Architecture = NARROW) -> dict[str, Any]:
    """What its authors save: more than weights, but plain values."""
    options = {"readout_outputs": N_NEURONS, "drop_rate": 0.4, **asdict(sizes)}
    return {
        "model_name": "MouseModel",
        "params": {"nn_module": ("dwiseneuro", options), "device": "cuda:0"},
        "nn_state_dict": made.state_dict(),
    }


def saved(path: Path, seed: int = 0) -> Path:
    """A file of the published layout."""
    torch.save(layout(network(seed)), path)
    return path


def models(folder: Path, mouse: int = 0, seeds: Sequence[int] = (0,)) -> list[Model]:
    """Networks as they come from their files."""
    files = [saved(folder / f"model-{seed}.pth", seed) for seed in seeds]
    return [read_published(file, mouse) for file in files]


def trial(n_frames: int, *movies: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Video (..., T, 36, 64) and behaviour (..., T, 4), raw."""
    generator = torch.Generator().manual_seed(seed)
    video = 255 * torch.rand(*movies, n_frames, 36, 64, generator=generator)
    told = torch.rand(*movies, n_frames, 4, generator=generator)
    return video, told * torch.tensor([60.0, 5.0, 150.0, 150.0])
