"""Small DwiseNeuro networks with weights by formula, and files like the authors'."""

from __future__ import annotations

import functools
import io
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rtrecon.encoder.dwiseneuro.author_files import MouseModel, read_author_file
from rtrecon.encoder.dwiseneuro.network import Architecture, DwiseNeuro

NARROW = Architecture(
    core_features=(6, 8),
    spatial_strides=(4, 2),
    expansion_ratio=2,
    se_reduce_ratio=4,
    cortex_features=(16, 24),
)
# Two orders of the same float32 sums differ. A layer adds about 2^-24 * sqrt(terms) of
# its largest value, 6e-8 * 20, and 20 layers follow one another: 2e-5. A margin of
# five. atol: a small rate is a difference of terms as large as the largest rate, 300.
FLOAT32_TOLERANCE = {"rtol": 1e-4, "atol": 1e-3}

N_NEURONS = (5, 4, 5)  # of mice 0, 1 and 2; an odd number leaves a group padded


def make_network(seed: int = 0, sizes: Architecture = NARROW) -> DwiseNeuro:
    """A network whose weights are sines of their index: equal on every machine."""
    network = DwiseNeuro(sizes, dict(enumerate(N_NEURONS)))
    for order, (key, value) in enumerate(network.state_dict().items()):
        if value.is_floating_point() and not key.endswith("inv_freq"):
            wave = torch.arange(value.numel()).mul(1.7).add(order + 31 * seed).sin()
            spread, middle = _scale(key, value)
            value.copy_((middle + spread * wave).view_as(value))
    return network.requires_grad_(False)


def _scale(key: str, value: Tensor) -> tuple[float, float]:
    """Amplitude and mean of weights that keep the signal's size through the layers."""
    if key.endswith("running_var"):
        return 0.5, 1.0
    if key.endswith("bn.weight"):
        return 0.3, 1.0
    if value.ndim == 1:
        return 0.3, 0.0
    return 1.5 / value[0].numel() ** 0.5, 0.0


def make_author_layout(
    network: DwiseNeuro, sizes: Architecture = NARROW
) -> dict[str, Any]:
    """The content of an author's file: weights and plain values."""
    options = {"readout_outputs": N_NEURONS, "drop_rate": 0.4, **asdict(sizes)}
    return {
        "model_name": "MouseModel",
        "params": {"nn_module": ("dwiseneuro", options), "device": "cuda:0"},
        "nn_state_dict": network.state_dict(),
    }


def write_author_file(path: Path, seed: int = 0) -> Path:
    """Write a file of the published layout."""
    path.write_bytes(_make_author_file(seed))
    return path


@functools.cache
def _make_author_file(seed: int) -> bytes:
    file = io.BytesIO()
    torch.save(make_author_layout(make_network(seed)), file)
    return file.getvalue()


def read_mouse_models(mouse: int = 0, seeds: Sequence[int] = (0,)) -> list[MouseModel]:
    """Models of one mouse, read from author files; the same object at every call."""
    return [_read_mouse_model(mouse, seed) for seed in seeds]


@functools.cache
def _read_mouse_model(mouse: int, seed: int) -> MouseModel:
    with tempfile.TemporaryDirectory() as folder:
        file = write_author_file(Path(folder) / f"model-{seed}.pth", seed)
        return read_author_file(file, mouse)


def make_trial(n_frames: int, *movies: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Video (..., T, 36, 64) and behavior (..., T, 4), as recorded."""
    generator = torch.Generator().manual_seed(seed)
    video = 255 * torch.rand(*movies, n_frames, 36, 64, generator=generator)
    behavior = torch.rand(*movies, n_frames, 4, generator=generator)
    return video, behavior * torch.tensor([60.0, 5.0, 150.0, 150.0])
