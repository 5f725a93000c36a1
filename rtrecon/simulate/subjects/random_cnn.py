"""Subject `random-cnn`: sparse mixtures of features of a random convolutional network.

Nothing is fitted to data. The family exists so that nobody tunes a method to one kind
of neurons. Filters are smooth random patterns; a second layer combines some of the
first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.simulate.subjects.image_network import (
    CENTER_PX,
    INPUT_KERNEL_PX,
    MAP_SHAPE,
    WHOLE_MAP,
    PointReadout,
)
from rtrecon.simulate.subjects.network_subject import (
    NetworkSubject,
    make_network_subject,
)
from rtrecon.simulate.subjects.receptive_fields import RECORDED_SPREAD_PX, draw_centers
from rtrecon.simulate.subjects.subject import SubjectRequest

_N_FIRST, _N_SECOND = 48, 64  # features of the two layers
_FIRST_SMOOTH_PX, _FIRST_WINDOW_PX = 1.3, 2.2
_SECOND_KERNEL_PX, _SECOND_SMOOTH_PX, _SECOND_WINDOW_PX = 7, 1.0, 1.8
_N_COMBINED = 4  # features of the first layer in one of the second
_N_MIXED = 3  # features in one neuron
_GAIN, _THRESHOLD = 2.0, 1.0  # of the softplus that makes rates from z-scored drives
_STATISTICS_STEP = 15  # frames of the calibration movie


@dataclass(frozen=True)
class RandomNetwork:
    """Two random layers; the maps are those of both.

    filters: of each layer, (features, inputs, side, side). mean, sd: of the features of
    each layer before rectification, for natural images.
    """

    filters: tuple[Tensor, Tensor]
    mean: tuple[Tensor, Tensor]
    sd: tuple[Tensor, Tensor]

    @property
    def reach_px(self) -> int:
        """Pixels that a crop needs around the neurons."""
        return _SECOND_KERNEL_PX // 2

    @property
    def n_channels(self) -> int:
        """Channels of the input: the image alone."""
        return 1

    def compute_maps(self, images: Tensor) -> Tensor:
        """Return maps (B, 112, height - 8, width - 8); see `ImageNetwork`."""
        first = self._rectify(0, self.filter_images(images))
        second = self._rectify(1, self.combine_features(first))
        return torch.cat([first, second], 1)

    def filter_images(self, images: Tensor) -> Tensor:
        """Return the features of the first layer before rectification."""
        return F.conv2d(images, self.filters[0].to(images.dtype))

    def combine_features(self, first: Tensor) -> Tensor:
        """Return the features of the second layer before rectification."""
        weight = self.filters[1].to(first.dtype)
        return F.conv2d(first, weight, padding=_SECOND_KERNEL_PX // 2)

    def measure_statistics(self, images: Tensor) -> RandomNetwork:
        """Return the network with mean and s.d. of its features for these images."""
        first = self.filter_images(images)
        known = replace(
            self,
            mean=(_mean(first), self.mean[1]),
            sd=(_sd(first), self.sd[1]),
        )
        second = known.combine_features(known._rectify(0, first))
        return replace(
            known, mean=(known.mean[0], _mean(second)), sd=(known.sd[0], _sd(second))
        )

    def _rectify(self, layer: int, features: Tensor) -> Tensor:
        mean, sd = self.mean[layer], self.sd[layer]
        scaled = (features - mean[:, None, None]) / sd[:, None, None]
        return F.relu(scaled).to(features.dtype)


def make_subject(request: SubjectRequest) -> NetworkSubject:
    """Draw network and neurons; UserError where they do not fit the screen."""
    rng = np.random.default_rng([request.options.mouse_seed, 31])
    movie = request.calibration[::_STATISTICS_STEP]
    scaled = (movie - np.float32(movie.mean())) / np.float32(movie.std())
    images = torch.from_numpy(scaled)[:, None]
    network = make_random_network(rng).measure_statistics(images)
    readout = _draw_readout(request, rng)
    return make_network_subject(
        request, network, _scale_drives(network, readout, images), activate
    )


def make_random_network(rng: np.random.Generator) -> RandomNetwork:
    """Draw the filters of both layers; statistics are not known yet."""
    first = _draw_filters(
        (_N_FIRST, 1, INPUT_KERNEL_PX), _FIRST_SMOOTH_PX, _FIRST_WINDOW_PX, rng
    )
    first -= first.mean((2, 3), keepdims=True)
    second = _draw_filters(
        (_N_SECOND, _N_FIRST, _SECOND_KERNEL_PX),
        _SECOND_SMOOTH_PX,
        _SECOND_WINDOW_PX,
        rng,
    )
    is_combined = np.zeros((_N_SECOND, _N_FIRST), bool)
    for inputs in is_combined:
        inputs[rng.choice(_N_FIRST, _N_COMBINED, replace=False)] = True
    second *= is_combined[:, :, None, None]
    zeros = torch.zeros(_N_FIRST), torch.zeros(_N_SECOND)
    ones = torch.ones(_N_FIRST), torch.ones(_N_SECOND)
    filters = torch.from_numpy(first).float(), torch.from_numpy(second).float()
    return RandomNetwork(filters, zeros, ones)


def activate(drive: Tensor) -> Tensor:
    """Return rates of z-scored drives: small below the threshold, linear above."""
    return F.softplus(_GAIN * (drive - _THRESHOLD))


def _draw_filters(
    shape: tuple[int, int, int],
    smooth_px: float,
    window_px: float,
    rng: np.random.Generator,
) -> Array:
    """Return (features, inputs, side, side) smooth random patterns of unit norm."""
    n_features, n_inputs, side = shape
    white = rng.normal(size=(n_features, n_inputs, side, side))
    smooth = gaussian_filter(white, (0, 0, smooth_px, smooth_px))
    away = np.arange(side) - side // 2
    window = np.exp(-(away**2) / (2 * window_px**2))
    patterns = smooth * np.outer(window, window)
    return np.asarray(patterns / np.linalg.norm(patterns, axis=(2, 3), keepdims=True))


def _draw_readout(request: SubjectRequest, rng: np.random.Generator) -> PointReadout:
    options = request.options
    n, spread = options.n_neurons, 1.0 if options.spread is None else options.spread
    y, x = RECORDED_SPREAD_PX
    centers = draw_centers(n, (spread * y, spread * x), rng)[:, ::-1] - CENTER_PX
    last = np.array([MAP_SHAPE[1] - 1, MAP_SHAPE[0] - 1])
    features = np.zeros((_N_FIRST + _N_SECOND, n), np.float32)
    for neuron in range(n):
        mixed = rng.choice(len(features), _N_MIXED, replace=False)
        features[mixed, neuron] = rng.normal(size=_N_MIXED)
    return PointReadout(
        torch.from_numpy(np.clip(centers, 0, last)).float(),
        torch.from_numpy(features),
        torch.zeros(n),
    )


def _scale_drives(
    network: RandomNetwork, readout: PointReadout, images: Tensor
) -> PointReadout:
    """Return the readout with drives of mean 0 and s.d. 1 for these images."""
    drive = readout.read_maps(network.compute_maps(images), WHOLE_MAP)
    sd = drive.std(0).clamp(min=1e-6)
    return replace(readout, features=readout.features / sd, bias=-drive.mean(0) / sd)


def _mean(features: Tensor) -> Tensor:
    return features.mean((0, 2, 3))


def _sd(features: Tensor) -> Tensor:
    return features.std((0, 2, 3)).clamp(min=1e-6)
