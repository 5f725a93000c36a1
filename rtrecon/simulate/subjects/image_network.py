"""Neurons that read out one point of the maps of a convolutional network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.simulate.movie import SHAPE
from rtrecon.simulate.subjects.receptive_fields import require_on_screen

INPUT_KERNEL_PX = 9  # the first layer sees so many px and pads nothing
MAP_SHAPE = (SHAPE[0] - INPUT_KERNEL_PX + 1, SHAPE[1] - INPUT_KERNEL_PX + 1)
CENTER_PX = INPUT_KERNEL_PX // 2  # map pixel (0, 0) sees this pixel of the screen


class ImageNetwork(Protocol):
    """A convolutional network that turns images into maps of features.

    reach_px: how far, in pixels of a map, the layers after the first one look.
    n_channels: of the input: the image, and behavior if it is more than 1.
    """

    @property
    def reach_px(self) -> int:
        """Pixels that a crop needs around the neurons."""
        ...

    @property
    def n_channels(self) -> int:
        """Channels of the input."""
        ...

    def compute_maps(self, images: Tensor) -> Tensor:
        """Return maps (B, features, height - 8, width - 8) of images (B, c, h, w)."""
        ...


@dataclass(frozen=True)
class PointReadout:
    """n neurons; each reads a weighted sum of all features at one point.

    position_px (n, 2): x and y in pixels of the whole map. features (features, n).
    bias (n,).
    """

    position_px: Tensor
    features: Tensor
    bias: Tensor

    def __len__(self) -> int:
        return len(self.bias)

    def select(self, neurons: Array) -> PointReadout:
        """Return some of the neurons."""
        chosen = torch.from_numpy(neurons)
        return PointReadout(
            self.position_px[chosen], self.features[:, chosen], self.bias[chosen]
        )

    def join(self, others: PointReadout) -> PointReadout:
        """Return these neurons and, after them, others of the same network."""
        return PointReadout(
            torch.cat([self.position_px, others.position_px]),
            torch.cat([self.features, others.features], 1),
            torch.cat([self.bias, others.bias]),
        )

    def move(self, offset_px: Array) -> PointReadout:
        """Return the neurons at other points; none leaves the map."""
        offset = torch.from_numpy(offset_px).float()
        moved = (self.position_px + offset).clamp(min=0)
        return replace(self, position_px=torch.minimum(moved, _last_pixel()))

    def spread_out(self, factor: float) -> PointReadout:
        """Return the neurons with their points moved away from the points' mean.

        Neurons that leave the map are left out.
        """
        middle = self.position_px.mean(0)
        spread = middle + factor * (self.position_px - middle)
        inside = ((spread >= 0) & (spread <= _last_pixel())).all(1)
        chosen = replace(self, position_px=spread)
        return chosen.select(np.flatnonzero(inside.numpy()))

    def choose(self, n_neurons: int, rng: np.random.Generator) -> PointReadout:
        """Return so many of the neurons; UserError if there are fewer."""
        require_on_screen(len(self), n_neurons)
        return self.select(np.sort(rng.choice(len(self), n_neurons, replace=False)))

    def read_maps(self, maps: Tensor, crop: MapCrop) -> Tensor:
        """Return drives without bias (B, n) of cropped maps (B, features, h, w)."""
        size = torch.tensor([maps.shape[3] - 1, maps.shape[2] - 1])
        grid = (self.position_px - torch.tensor([crop.left, crop.top])) / size * 2 - 1
        grid = grid[None, :, None].expand(len(maps), -1, -1, -1)
        sampled = F.grid_sample(maps.float(), grid, align_corners=True)[..., 0]
        return torch.einsum("bfn,fn->bn", sampled, self.features)


@dataclass(frozen=True)
class MapCrop:
    """The part of a network's map that neurons need, in pixels of the whole map."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def around(cls, readout: PointReadout, reach_px: int) -> MapCrop:
        """Return a part in which the neurons read what they would read in the whole.

        At the screen's own borders the layers see zeros; elsewhere the crop's borders
        are out of their reach.
        """
        points = readout.position_px
        first = (points.amin(0).floor() - reach_px).clamp(min=0).int().tolist()
        last = points.amax(0).ceil() + reach_px
        stop = (torch.minimum(last, _last_pixel()).int() + 1).tolist()
        return cls(first[1], stop[1], first[0], stop[0])

    def cut_images(self, images: Tensor) -> Tensor:
        """Return the part of images (..., 36, 64) that this part of the map sees."""
        margin = INPUT_KERNEL_PX - 1
        rows = slice(self.top, self.bottom + margin)
        return images[..., rows, self.left : self.right + margin]


WHOLE_MAP = MapCrop(0, MAP_SHAPE[0], 0, MAP_SHAPE[1])


def _last_pixel() -> Tensor:
    return torch.tensor([MAP_SHAPE[1] - 1.0, MAP_SHAPE[0] - 1.0])
