"""Where neurons look: the node of the grid whose features explain their activity best.

At every node, all neurons are regressed on the features there, in the basis in which
the weights of other neurons are distributed like N(0, 1): ridge regression, for which
few minutes are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rtrecon.encoder.convolutional.feature_network import (
    GRID_SHAPE,
    N_DELAYS,
    N_NODES,
    FeatureNetwork,
    to_grid,
)
from rtrecon.training.compact.encoder_data import EncoderData

CHUNK_FRAMES = 240  # whose features are computed at once
_MAX_COMPONENTS = 48  # of the weight basis; positions need no more
_MAX_FRAMES = 18_000  # more do not move positions by much
_SIGNAL_VARIANCE = 0.04  # of activity, the share that a movie explains in one frame


class FeatureReader:
    """Computes the features of the frames of a recording, chunk by chunk.

    network: in the precision that is fastest, see `prepare_network`.
    """

    def __init__(
        self, network: FeatureNetwork, weight_basis: Tensor, data: EncoderData
    ) -> None:
        self._network, self._weight_basis, self._data = network, weight_basis, data

    @property
    def n_components(self) -> int:
        """Number of components of the weight basis."""
        return self._weight_basis.shape[1]

    def iterate_chunks(
        self, n_components: int, max_frames: int | None = None
    ) -> Iterator[tuple[Tensor, EncoderData]]:
        """Yield maps (T, n_components, rows, columns) and the data of the same frames.

        The maps, float32, are features projected on the first components of the weight
        basis. max_frames: take about so many frames, spread evenly over the recording.
        """
        basis = self._weight_basis[:, :n_components]
        n_frames = self._data.n_predicted
        step = 1 if max_frames is None else -(-n_frames // max_frames)
        past = len(self._data) - n_frames
        for segment in self._data.iterate_segments(CHUNK_FRAMES):
            with torch.no_grad():
                maps = self._network.compute_maps(to_grid(segment.coef)).float()
            projected = project_features(maps, basis)
            part = segment.slice_frames(past, len(segment))
            chosen = EncoderData(
                part.coef[::step], part.behavior[::step], part.activity[::step]
            )
            yield projected[::step], chosen


def project_features(maps: Tensor, basis: Tensor) -> Tensor:
    """Return maps (T, K, h, w) of features (N_DELAYS - 1 + T, F, h, w).

    basis: (N_DELAYS * F, K), the rows of the present frame first.
    """
    flat = maps.flatten(2)
    by_delay = basis.unflatten(0, (N_DELAYS, -1)).transpose(1, 2)  # (delay, K, F)
    n_frames = len(maps) - N_DELAYS + 1
    projected = sum(
        weights @ flat[N_DELAYS - 1 - delay :][:n_frames]
        for delay, weights in enumerate(by_delay)
    )
    assert isinstance(projected, Tensor)
    return projected.unflatten(2, maps.shape[2:])


def search_positions(
    reader: FeatureReader,
    activity_scale: tuple[Tensor, Tensor],
    on_share: Callable[[float], object],
) -> Tensor:
    """Return (n, 2): row and column where each neuron looks, between nodes.

    activity_scale: mean and s.d. of activity, (n,) each.
    """
    mean, sd = activity_scale
    n_components = min(_MAX_COMPONENTS, reader.n_components)
    sums = _NodeSums(n_components, len(mean))
    for maps, data in reader.iterate_chunks(n_components, _MAX_FRAMES):
        standardized = ((data.activity - mean) / sd).nan_to_num()
        sums.add(maps, standardized)
        on_share(min(1.0, sums.n_frames / _MAX_FRAMES))
    return locate_peaks(sums.explain())


class _NodeSums:
    """Sums of products of features with features and with activity, by node."""

    def __init__(self, n_features: int, n_neurons: int) -> None:
        self.n_frames = 0
        self._features = torch.zeros(N_NODES, n_features)
        self._squares = torch.zeros(N_NODES, n_features, n_features)
        self._cross = torch.zeros(N_NODES, n_features, n_neurons)
        self._activity = torch.zeros(n_neurons)

    def add(self, maps: Tensor, activity: Tensor) -> None:
        """Add T frames: maps (T, F, rows, columns), activity (T, n)."""
        by_node = maps.flatten(2).permute(2, 1, 0).contiguous()
        self._features += by_node.sum(2)
        self._squares.baddbmm_(by_node, by_node.transpose(1, 2))
        self._cross += by_node @ activity
        self._activity += activity.sum(0)
        self.n_frames += len(activity)

    def explain(self) -> Tensor:
        """Return (N_NODES, n): how much of each activity the features explain."""
        mean = self._features / self.n_frames
        squares = self._squares / self.n_frames - mean[:, :, None] * mean[:, None]
        activity = self._activity / self.n_frames
        cross = self._cross / self.n_frames - mean[:, :, None] * activity
        penalty = 1 / (self.n_frames * _SIGNAL_VARIANCE)
        factor = torch.linalg.cholesky(squares + penalty * torch.eye(mean.shape[1]))
        explained = [
            torch.linalg.solve_triangular(each, of_node, upper=False).square().sum(0)
            for each, of_node in zip(factor, cross, strict=True)
        ]
        return torch.stack(explained)


def locate_peaks(explained: Tensor) -> Tensor:
    """Return (n, 2): rows and columns of the peaks of (N_NODES, n).

    A parabola through the peak and its two neighbors places it between the nodes.
    """
    n_columns = GRID_SHAPE[1]
    maps = explained.T.unflatten(1, GRID_SHAPE)
    best = explained.argmax(0)
    row, column = best // n_columns, best % n_columns
    neuron = torch.arange(len(best))
    along_rows = _interpolate_peak(maps[neuron, :, column], row)
    along_columns = _interpolate_peak(maps[neuron, row], column)
    return torch.stack([along_rows, along_columns], 1)


def _interpolate_peak(profile: Tensor, peak: Tensor) -> Tensor:
    """Return (n,): where the parabola at the index `peak` of (n, length) is highest."""
    last = profile.shape[1] - 1
    inner = peak.clamp(1, last - 1)
    neighbors = profile.gather(1, inner[:, None] + torch.tensor([-1, 0, 1]))
    before, middle, after = neighbors.unbind(1)
    curvature = (before - 2 * middle + after).clamp(max=-1e-9)
    offset = (0.5 * (before - after) / curvature).clamp(-0.5, 0.5)
    return torch.where(peak == inner, inner + offset, peak)
