"""The readout: n neurons, each a weighted sum of all features at one point.

The features are those of the present frame and those of the frame before. A point
between four nodes of the grid takes the features of all four, the nearest most
(bilinear interpolation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.encoder.convolutional.feature_network import (
    GRID_SHAPE,
    N_DELAYS,
    REACH_NODES,
    GridCrop,
)

_GROUP_NEURONS = 16  # neurons of a node that are computed together
_CORNERS = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])  # row and column


@dataclass(frozen=True)
class Readout:
    """Where neurons look, what they respond to, and how strongly.

    position (n, 2): row and column on the grid, in nodes. weights (n, N_DELAYS * F),
    of the present frame first, and bias (n,): drive = weights . features + bias.
    mean_activity (n,) > 0: activity at the drive 0. behavior_gain (4, n): log gain per
    standardized behavior, in the order of `BEHAVIOR`.
    """

    position: Tensor
    weights: Tensor
    bias: Tensor
    mean_activity: Tensor
    behavior_gain: Tensor

    def __len__(self) -> int:
        return len(self.bias)

    def to(self, device: torch.device) -> Readout:
        """Return a copy on a device."""
        return Readout(**{key: value.to(device) for key, value in vars(self).items()})


def find_corners(position: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and columns (n, 4, 2) of the nodes around points, and shares (n, 4).

    A position beyond the grid counts as the nearest point on it.
    """
    last = torch.tensor(GRID_SHAPE) - 1
    inside = torch.minimum(position.clamp(min=0), last)
    first = torch.minimum(inside.floor(), last - 1)
    fraction = (inside - first)[:, None]  # (n, 1, 2)
    share = torch.where(_CORNERS == 1, fraction, 1 - fraction).prod(2)
    return first.long()[:, None] + _CORNERS, share


def find_crop(position: Tensor) -> GridCrop:
    """Return the part of the grid in which neurons read what they would in the whole.

    At the screen's own borders the network sees gray; the crop's other borders are out
    of its reach.
    """
    corners, _ = find_corners(position)
    first = (corners.amin((0, 1)) - REACH_NODES).clamp(min=0).tolist()
    beyond = corners.amax((0, 1)) + REACH_NODES + 1
    stop = torch.minimum(beyond, torch.tensor(GRID_SHAPE)).tolist()
    return GridCrop(first[0], stop[0], first[1], stop[1])


class NodeProducts:
    """The drive of all neurons by one batched matrix product.

    Neurons that take features of the same node are computed together, in groups of
    `_GROUP_NEURONS`: `_weights` (groups, F, N_DELAYS * `_GROUP_NEURONS`) holds their
    weights, `_group_node` (groups,) the node, and `_results` (4 n,) where the four
    parts of each neuron are among all results.
    """

    def __init__(self, readout: Readout, crop: GridCrop) -> None:
        corners, share = find_corners(readout.position.cpu())
        row, column = corners.unbind(2)
        node = ((row - crop.top) * crop.shape[1] + column - crop.left).flatten()
        group, slot, group_node = _group_by_node(node)
        by_delay = readout.weights.cpu().unflatten(1, (N_DELAYS, -1))
        weighted = by_delay[:, None] * share[..., None, None]  # (n, 4, delays, F)
        shape = len(group_node), N_DELAYS, _GROUP_NEURONS, weighted.shape[3]
        weights = torch.zeros(shape)
        weights[group, :, slot] = weighted.flatten(0, 1)
        device = readout.bias.device
        self._weights = weights.flatten(1, 2).transpose(1, 2).contiguous().to(device)
        self._group_node = group_node.to(device)
        self._results = (group * _GROUP_NEURONS + slot).to(device)
        self._bias = readout.bias

    def compute_drive(self, maps: Tensor) -> Tensor:
        """Return the drive (T, n) of features (N_DELAYS - 1 + T, F, h, w) of a crop."""
        by_node = maps.permute(2, 3, 0, 1).flatten(0, 1)  # (h w, T, F)
        features = by_node.index_select(0, self._group_node).float()
        products = torch.bmm(features, self._weights)  # (groups, frames, neurons)
        n_frames = len(maps) - N_DELAYS + 1
        results = sum_delays(products.chunk(N_DELAYS, 2), n_frames)
        flat = results.transpose(1, 2).flatten(0, 1)
        parts = flat.index_select(0, self._results).unflatten(0, (-1, 4))
        return parts.sum(1).T + self._bias


def sum_delays(parts: Sequence[Tensor], n_frames: int) -> Tensor:
    """Return the sum of parts (..., frames, k), each delayed by one frame more."""
    last = len(parts) - 1
    delayed = [
        part[:, last - delay : last - delay + n_frames]
        for delay, part in enumerate(parts)
    ]
    return torch.stack(delayed).sum(0)


def _group_by_node(node: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return group and slot (k,) of each of k entries, and the node of each group.

    node: (k,). All entries of a group have the same node.
    """
    order = node.argsort(stable=True)
    sorted_nodes, counts = node[order].unique_consecutive(return_counts=True)
    first = (counts.cumsum(0) - counts).repeat_interleave(counts)
    rank = torch.arange(len(node)) - first  # among the entries of the same node
    n_groups = -(-counts // _GROUP_NEURONS)
    first_group = (n_groups.cumsum(0) - n_groups).repeat_interleave(counts)
    group, slot = torch.empty_like(order), torch.empty_like(order)
    group[order] = first_group + rank // _GROUP_NEURONS
    slot[order] = rank % _GROUP_NEURONS
    return group, slot, sorted_nodes.repeat_interleave(n_groups)
