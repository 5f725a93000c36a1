"""Checkpoints in the layout of the SENSORIUM 2022 baselines, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

SESSION = "27204-5-13"
_FEATURES, _HIDDEN = 64, 30


def make_weights(
    n_neurons: int = 40, n_channels: int = 1, n_layers: int = 4
) -> dict[str, Tensor]:
    """Return a state dict; receptive fields lie around the middle of the screen."""
    torch.manual_seed(0)
    weights = {
        "core._input_weights_regularizer.laplace.filter": torch.zeros(1, 1, 3, 3),
        "core.features.layer0.conv.weight": 0.2
        * torch.randn(_FEATURES, n_channels, 9, 9),
    }
    for layer in range(n_layers):
        prefix = f"core.features.layer{layer}"
        weights[f"{prefix}.norm.running_mean"] = torch.zeros(_FEATURES)
        weights[f"{prefix}.norm.running_var"] = torch.ones(_FEATURES)
        weights[f"{prefix}.norm.weight"] = 0.5 * torch.ones(_FEATURES)
        weights[f"{prefix}.norm.bias"] = torch.zeros(_FEATURES)
        weights[f"{prefix}.norm.num_batches_tracked"] = torch.tensor(1)
        if layer:
            ds, square = f"{prefix}.ds_conv", (_FEATURES, _FEATURES, 1, 1)
            weights[f"{ds}.in_depth_conv.weight"] = torch.randn(square) / 8
            weights[f"{ds}.spatial_conv.weight"] = torch.randn(_FEATURES, 1, 7, 7) / 7
            weights[f"{ds}.out_depth_conv.weight"] = torch.randn(square) / 8
    readout = f"readout.{SESSION}"
    weights |= {
        f"{readout}.sigma": torch.zeros(1, n_neurons, 2, 2),
        f"{readout}._features": torch.randn(1, _FEATURES, 1, n_neurons),
        f"{readout}.bias": torch.zeros(n_neurons),
        f"{readout}.source_grid": 0.3 * torch.randn(n_neurons, 2),
        f"{readout}.mu_transform.0.weight": torch.randn(_HIDDEN, 2),
        f"{readout}.mu_transform.0.bias": torch.zeros(_HIDDEN),
        f"{readout}.mu_transform.2.weight": torch.randn(2, _HIDDEN) / 20,
        f"{readout}.mu_transform.2.bias": torch.zeros(2),
    }
    return weights


def write_checkpoint(path: Path, weights: dict[str, Tensor] | None = None) -> Path:
    """Save weights as the authors did; random ones by default."""
    torch.save(make_weights() if weights is None else weights, path)
    return path
