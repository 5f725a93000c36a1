"""The feature network: a small convolutional network that all mice share.

It was trained once, on many neurons of several mice, and ships with rtrecon. A new
mouse only needs a readout of its features, see `ConvolutionalEncoder`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.tensor_files import read_tensors
from rtrecon.stimulus_space.video import IMAGE_SHAPE

# Frames are low-pass at a quarter cycle per pixel, so that half as many points hold
# all of them. Node (row, column) is at pixel (2 row + 0.5, 2 column + 0.5).
GRID_SHAPE = (18, 32)
NODE_SPACING_PX, FIRST_NODE_PX = 2.0, 0.5
N_NODES = GRID_SHAPE[0] * GRID_SHAPE[1]
_SIDE = 5  # nodes, of the filters of every layer
N_DELAYS = 2  # a readout takes the features of a frame and of the one before it
KERNEL_FRAMES = MEMORY_FRAMES - N_DELAYS + 1
REACH_NODES = 3 * (_SIDE // 2)  # how far from a node its features look
_SHIPPED_FILE = "feature_network.safetensors"
_MAX_CHANNELS = 1024
# Where the weights tell each number of `NetworkSize`.
_SIZE_KEYS = (
    ("temporal_kernels", 0),
    ("first.weight", 0),
    ("second.weight", 0),
    ("third.weight", 0),
)


@dataclass(frozen=True)
class NetworkSize:
    """Numbers of temporal kernels and of the channels of the three layers."""

    n_kernels: int
    n_first: int
    n_second: int
    n_features: int


@dataclass(frozen=True)
class GridCrop:
    """Rows and columns of the grid, from `top`, `left` to before `bottom`, `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def nodes(self) -> Tensor:
        """Indices of its nodes in the whole grid, row by row."""
        grid = torch.arange(N_NODES).view(GRID_SHAPE)
        return grid[self.top : self.bottom, self.left : self.right].flatten()


WHOLE_GRID = GridCrop(0, GRID_SHAPE[0], 0, GRID_SHAPE[1])


class FeatureNetwork(nn.Module):
    """Features of a movie at every node of a grid over the screen; weights are frozen.

    Temporal kernels turn the movie into a few delayed ones; the first layer combines
    them by filters of 5 x 5 nodes, two depth-separable layers follow. The features are
    those of the third layer, which also sees the first one's.
    """

    temporal_kernels: Tensor

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        kernels = torch.zeros(size.n_kernels, KERNEL_FRAMES)
        self.register_buffer("temporal_kernels", kernels)  # the newest frame first
        self.first = _make_convolution(size.n_kernels, size.n_first)
        self.second_spatial = _make_depthwise(size.n_first)
        self.second = nn.Conv2d(size.n_first, size.n_second, 1)
        self.third_spatial = _make_depthwise(size.n_second)
        n_joined = size.n_first + size.n_second
        self.third = nn.Conv2d(n_joined, size.n_features, 1)
        self.requires_grad_(False)

    @property
    def n_features(self) -> int:
        """Number of features at a node."""
        return self.third.out_channels

    @property
    def dtype(self) -> torch.dtype:
        """The precision that it computes with."""
        return self.first.weight.dtype

    def compute_maps(self, grids: Tensor) -> Tensor:
        """Return features (T, F, h, w) of movies on the grid.

        grids: (KERNEL_FRAMES - 1 + T, h, w), oldest first. Beyond its borders the movie
        is taken to be gray; features within `REACH_NODES` of a border depend on that.
        """
        height, width = grids.shape[1:]
        windows = grids.flatten(1).unfold(0, KERNEL_FRAMES, 1)
        delayed = windows @ self.temporal_kernels.flip(1).T  # (T, h w, kernels)
        delayed = delayed.unflatten(1, (height, width)).permute(0, 3, 1, 2)
        first = functional.silu(self.first(delayed.to(self.dtype)))
        second = functional.silu(self.second(self.second_spatial(first)))
        joined = torch.cat([first, self.third_spatial(second)], 1)
        return functional.silu(self.third(joined))


def to_grid(coef: Tensor, crop: GridCrop = WHOLE_GRID) -> Tensor:
    """Return the movie (T, h, w) on the nodes of a crop, of coefficients (T, C)."""
    vectors = _make_grid_basis()[:, crop.nodes].to(coef.device)
    return (coef @ vectors).unflatten(1, crop.shape)


@dataclass(frozen=True)
class SharedFeatures:
    """What ships with rtrecon: the network, and how neurons read it.

    weight_basis: (N_DELAYS * F, R), principal components of the readout weights of the
    neurons that the network was trained on, the largest first. If a drive has variance
    1, the coefficients on them are distributed like N(0, 1).
    """

    network: FeatureNetwork
    weight_basis: Tensor


def load_shared_features() -> SharedFeatures:
    """Return the network that ships with rtrecon, and how its neurons read it."""
    path = Path(str(resources.files("rtrecon.encoder.convolutional") / _SHIPPED_FILE))
    tensors = {key: value.float() for key, value in read_tensors(path).items()}
    basis = tensors.pop("weight_basis")
    return SharedFeatures(build_feature_network(tensors), basis)


def build_feature_network(tensors: dict[str, Tensor]) -> FeatureNetwork:
    """Return the network with these weights; ValueError where they do not fit."""
    sizes = [_read_length(tensors, key, axis) for key, axis in _SIZE_KEYS]
    network = FeatureNetwork(NetworkSize(*sizes))
    network.load_state_dict({key: value.float() for key, value in tensors.items()})
    return network


def _read_length(tensors: dict[str, Tensor], key: str, axis: int) -> int:
    shape = tensors[key].shape
    if not len(shape) > axis or not 0 < shape[axis] <= _MAX_CHANNELS:
        raise ValueError(f"'{key}' of the feature network has shape {tuple(shape)}")
    return shape[axis]


@functools.cache
def _make_grid_basis() -> Tensor:
    """Return (C, N_NODES): the value of each coefficient's function at the nodes."""
    rows, columns = (
        _make_resampling(n_px, n_nodes)
        for n_px, n_nodes in zip(IMAGE_SHAPE, GRID_SHAPE, strict=True)
    )
    functions = make_dct_basis().vectors.unflatten(1, IMAGE_SHAPE)
    return torch.einsum("cyx,iy,jx->cij", functions, rows, columns).flatten(1)


def _make_resampling(n_px: int, n_nodes: int) -> Tensor:
    """Return (n_nodes, n_px): from pixels to nodes, exact below a quarter cycle/px."""
    to_frequencies = dct(np.eye(n_px), axis=0, norm="ortho")[:n_nodes]
    from_frequencies = dct(np.eye(n_nodes), axis=0, norm="ortho").T
    resampled = from_frequencies @ to_frequencies * np.sqrt(n_nodes / n_px)
    return torch.from_numpy(resampled.astype(np.float32))


def _make_convolution(n_inputs: int, n_outputs: int) -> nn.Conv2d:
    return nn.Conv2d(n_inputs, n_outputs, _SIDE, padding=_SIDE // 2)


def _make_depthwise(n_channels: int) -> nn.Conv2d:
    padding = _SIDE // 2
    return nn.Conv2d(
        n_channels, n_channels, _SIDE, padding=padding, groups=n_channels, bias=False
    )
