"""A small feature network with random weights, and neurons that read it."""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder
from rtrecon.encoder.convolutional.feature_network import (
    GRID_SHAPE,
    N_DELAYS,
    FeatureNetwork,
    NetworkSize,
    SharedFeatures,
)
from rtrecon.encoder.convolutional.readout import Readout
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.protocol.behavior import BEHAVIOR

N_FEATURES = 6
N_WEIGHTS = N_DELAYS * N_FEATURES
_SIZE = NetworkSize(n_kernels=2, n_first=4, n_second=4, n_features=N_FEATURES)


def make_network(seed: int = 0) -> FeatureNetwork:
    """Return a network whose features vary by about 1 for movies of `make_movie`."""
    generator = torch.Generator().manual_seed(seed)
    network = FeatureNetwork(_SIZE)
    for name, weights in network.state_dict().items():
        n_inputs = weights[0].numel() if weights.ndim > 1 else 1
        drawn = torch.randn(weights.shape, generator=generator)
        weights.copy_(drawn * (2 / n_inputs) ** 0.5 * (2 if "kernels" in name else 1))
    return network


def make_shared_features(seed: int = 0) -> SharedFeatures:
    """Return that network, with readout weights that may be anything."""
    return SharedFeatures(make_network(seed), torch.eye(N_WEIGHTS))


def make_readout(n_neurons: int, seed: int = 1) -> Readout:
    """Return neurons anywhere on the grid; their drives vary by less than 1."""
    generator = torch.Generator().manual_seed(seed)
    last = torch.tensor(GRID_SHAPE) - 1
    return Readout(
        position=torch.rand(n_neurons, 2, generator=generator) * last,
        weights=torch.randn(n_neurons, N_WEIGHTS, generator=generator) / 4,
        bias=torch.randn(n_neurons, generator=generator) / 4,
        mean_activity=0.05 + torch.rand(n_neurons, generator=generator),
        behavior_gain=torch.randn(len(BEHAVIOR), n_neurons, generator=generator) / 8,
    )


def make_encoder(n_neurons: int) -> ConvolutionalEncoder:
    """Return the encoder of such neurons."""
    return ConvolutionalEncoder(make_network(), make_readout(n_neurons))


def make_movie(n_frames: int, seed: int = 2) -> Tensor:
    """Return coefficients (n_frames, C) of a movie that changes from frame to frame."""
    basis = make_dct_basis()
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(n_frames, basis.n_coef, generator=generator)
    return white * 2 / (0.3 + 20 * basis.cycles_per_px)
