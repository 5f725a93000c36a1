"""Readouts of new neurons by a few Fisher scoring passes; nothing is random.

Activity is mean_activity * (elu(drive) + 1) * exp(behavior . gain). All parameters of a
neuron, its position included, are fitted together to the quasi-Poisson likelihood. Its
weights are expected to be like those of the neurons that the feature network was
trained on (empirical Bayes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rtrecon.encoder.convolutional.encoder import (
    ConvolutionalEncoder,
    prepare_network,
)
from rtrecon.encoder.convolutional.feature_network import GRID_SHAPE, SharedFeatures
from rtrecon.encoder.convolutional.readout import Readout, find_corners
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.convolutional.position_search import (
    FeatureReader,
    search_positions,
)

N_PASSES = 3
_EARLY_FRAMES = 12_000  # of all passes but the last
_DRIVE_VARIANCE = 1.5  # prior variance of the drive
_BIAS_SD, _GAIN_SD, _MOVE_SD = 10.0, 0.5, 0.3  # prior; the last one in nodes, per pass
# Of the logarithm of the scale. Scale, bias and weights together hardly change a rate
# that is exponential; if all are free, the passes end far from the best readout.
_SCALE_SD = 0.1
_MAX_MOVE = 0.4  # nodes, per pass
_N_GAINS = len(BEHAVIOR) + 1
_MIN_RELATIVE_RATE = 0.03
_MIN_ACTIVITY = 1e-6
_NEURONS_AT_ONCE = 50  # whose sums fit into the processor's cache


@dataclass(frozen=True)
class _Parameters:
    """position (n, 2) in nodes; values (n, R + 1 + 4 + 1).

    The values are the weights, as coefficients on the R components of the weight basis,
    the bias, the behavior gain, and the logarithm of the scale: mean_activity divided
    by the neuron's mean.
    """

    position: Tensor
    values: Tensor

    @property
    def weights(self) -> Tensor:
        return self.values[:, : -1 - _N_GAINS]

    @property
    def bias(self) -> Tensor:
        return self.values[:, -1 - _N_GAINS]

    @property
    def gain(self) -> Tensor:
        """(n, 4 + 1): of behavior, and the logarithm of the scale."""
        return self.values[:, -_N_GAINS:]

    def select(self, neurons: slice) -> _Parameters:
        return _Parameters(self.position[neurons], self.values[neurons])


def fit_readout(
    shared: SharedFeatures,
    data: EncoderData,
    on_progress: Callable[[float, str], object],
) -> ConvolutionalEncoder:
    """Return the encoder of the neurons of `data`; activity may hold NaN."""
    device = torch.device("cpu")
    basis = shared.weight_basis
    reader = FeatureReader(prepare_network(shared.network, device), basis, data)
    mean = data.mean_activity().clamp(min=_MIN_ACTIVITY)
    sd = (data.activity - mean).square().nanmean(0).nan_to_num().sqrt()
    on_progress(0.0, "looking for receptive fields")
    position = search_positions(
        reader,
        (mean, sd.clamp(min=_MIN_ACTIVITY)),
        lambda share: on_progress(share / (N_PASSES + 1), "receptive fields"),
    )
    n_values = basis.shape[1] + 1 + _N_GAINS
    parameters = _Parameters(position, torch.zeros(len(mean), n_values))
    for number in range(N_PASSES):
        is_last = number == N_PASSES - 1
        max_frames = None if is_last else _EARLY_FRAMES
        parameters = _improve(reader, parameters, mean, max_frames)
        share = (number + 2) / (N_PASSES + 1)
        on_progress(share, f"pass {number + 1} of {N_PASSES}")
    readout = Readout(
        position=parameters.position,
        weights=parameters.weights @ basis.T,
        bias=parameters.bias.contiguous(),
        mean_activity=mean * parameters.gain[:, -1].exp(),
        behavior_gain=parameters.gain[:, :-1].T.contiguous(),
    )
    return ConvolutionalEncoder(shared.network, readout)


def _improve(
    reader: FeatureReader,
    parameters: _Parameters,
    mean: Tensor,
    max_frames: int | None,
) -> _Parameters:
    """Return the parameters after one Fisher scoring pass, over `max_frames` or all."""
    n, n_values = parameters.values.shape
    sums = _ScoringSums(n, n_values + 2)
    parts = [slice(i, i + _NEURONS_AT_ONCE) for i in range(0, n, _NEURONS_AT_ONCE)]
    for maps, data in reader.iterate_chunks(reader.n_components, max_frames):
        by_node = maps.flatten(2).permute(2, 0, 1).contiguous()
        for part in parts:
            relative = data.activity[:, part] / mean[part]
            sums.add(part, by_node, data.behavior, relative, parameters.select(part))
    return _move(parameters, sums.solve(_make_prior_precision(reader.n_components)))


class _ScoringSums:
    """Sums over frames for one pass, by neuron: J^T W J, J^T W z and Pearson's chi^2.

    J (T, k) is the derivative of the relative rate by the k parameters of a neuron,
    W its inverse variance for Poisson counts, z the activity in the linearized model.
    W is taken as the square of its root, so that J is scaled once.
    """

    def __init__(self, n_neurons: int, n_parameters: int) -> None:
        self._products = torch.zeros(n_neurons, n_parameters, n_parameters)
        self._targets = torch.zeros(n_neurons, n_parameters)
        self._chi2, self._count = torch.zeros(n_neurons), torch.zeros(n_neurons)

    def add(
        self,
        part: slice,
        by_node: Tensor,
        behavior: Tensor,
        relative: Tensor,
        parameters: _Parameters,
    ) -> None:
        """Add T frames of m neurons.

        by_node: (N_NODES, T, R) features. relative: (T, m) activity over its mean.
        """
        corners, fraction = read_corners(by_node, parameters.position)
        of_corners = [
            torch.bmm(corner, parameters.weights[..., None])[..., 0]
            for corner in corners
        ]
        drive = interpolate(of_corners, fraction) + parameters.bias[:, None]
        behavior = functional.pad(behavior, (0, 1), value=1.0)  # 1 for the scale
        log_factor = parameters.gain @ behavior.T  # (m, T)
        factor = log_factor.exp()
        rate = (functional.elu(drive) + 1) * factor
        slope = torch.where(drive > 0, 1.0, drive.exp()) * factor
        recorded = relative.T
        is_known = recorded.isfinite()
        root_weight = (is_known / rate.clamp(min=_MIN_RELATIVE_RATE)).sqrt()
        by_position = [slope * each for each in differentiate(of_corners, fraction)]
        others = [slope, *(rate * each for each in behavior.T), *by_position]
        jacobian = torch.empty(*drive.shape, self._targets.shape[1])
        features = interpolate(corners, fraction[..., None])
        n_weights = features.shape[2]
        scale = (slope * root_weight)[..., None]
        torch.mul(features, scale, out=jacobian[..., :n_weights])
        jacobian[..., n_weights:] = torch.stack(others, 2) * root_weight[..., None]
        residual = torch.where(is_known, recorded - rate, 0.0)
        # The position counts from where it is; all else is linear in its parameters.
        target = (slope * drive + rate * log_factor + residual) * root_weight
        transposed = jacobian.transpose(1, 2)
        self._products[part].baddbmm_(transposed, jacobian)
        self._targets[part] += torch.bmm(transposed, target[..., None])[..., 0]
        self._chi2[part] += (root_weight * residual).square().sum(1)
        self._count[part] += is_known.sum(1)

    def solve(self, prior_precision: Tensor) -> Tensor:
        """Return (n, k) parameters; the last two are moves of the position."""
        dispersion = self._chi2 / self._count.clamp(min=1)
        dispersion = dispersion.clamp(min=_MIN_ACTIVITY)[:, None]
        penalized = self._products + prior_precision * dispersion[..., None]
        solved: Tensor = torch.linalg.solve(penalized, self._targets)
        return solved


def read_corners(by_node: Tensor, position: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return features (m, T, F) at the four nodes around points, and fractions.

    by_node: (N_NODES, T, F). position: (m, 2) in nodes. fractions: (2, m, 1), how
    far a point is from the first node towards the next row and column, 0 to 1.
    """
    corners, _ = find_corners(position)
    fraction = (position - corners[:, 0]).clamp(0, 1).T[..., None]
    index = corners[..., 0] * GRID_SHAPE[1] + corners[..., 1]
    return [by_node[each] for each in index.T], fraction


def interpolate(corners: list[Tensor], fraction: Tensor) -> Tensor:
    """Return values between four nodes; the fractions are broadcast."""
    (row, column), (nearest, right, below, opposite) = fraction, corners
    upper = torch.lerp(nearest, right, column)
    return upper.lerp_(torch.lerp(below, opposite, column), row)


def differentiate(corners: list[Tensor], fraction: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives of `interpolate` by row and by column."""
    (row, column), (nearest, right, below, opposite) = fraction, corners
    by_row = torch.lerp(below - nearest, opposite - right, column)
    by_column = torch.lerp(right - nearest, opposite - below, row)
    return by_row, by_column


def _move(parameters: _Parameters, solved: Tensor) -> _Parameters:
    last = torch.tensor(GRID_SHAPE) - 1.0
    moved = parameters.position + solved[:, -2:].clamp(-_MAX_MOVE, _MAX_MOVE)
    return _Parameters(torch.minimum(moved.clamp(min=0), last), solved[:, :-2])


def _make_prior_precision(n_weights: int) -> Tensor:
    """Return (k, k): inverse prior covariance of all parameters of a neuron."""
    sds = n_weights * [_DRIVE_VARIANCE**0.5] + [_BIAS_SD]
    sds += len(BEHAVIOR) * [_GAIN_SD] + [_SCALE_SD] + 2 * [_MOVE_SD]
    return torch.tensor(sds).square().reciprocal().diag()
