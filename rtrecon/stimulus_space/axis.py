"""Axes of a stimulus frame: what its rows, or its columns, stand for."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np

from rtrecon.core.types import Array

Spacing = Literal["linear", "logarithmic", "categories"]
MAX_SIZE = 4096  # positions on an axis


class Axis(msgspec.Struct, frozen=True):
    """One axis of a frame, with `size` positions.

    limits: the first and the last position in `unit`; on a logarithmic axis both are
    above 0. Categories have `labels` instead, one each, and no order.
    """

    name: str
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_SIZE)]
    spacing: Spacing = "linear"
    unit: str = ""
    limits: tuple[float, float] = (0.0, 1.0)
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.spacing == "categories":
            if len(self.labels) != self.size:
                raise ValueError(
                    f"axis {self.name} has {self.size} categories and "
                    f"{len(self.labels)} labels; give one label each"
                )
            return
        if not all(math.isfinite(limit) for limit in self.limits):
            raise ValueError(f"axis {self.name} has limits that are not finite")
        if self.spacing == "logarithmic" and min(self.limits) <= 0:
            raise ValueError(
                f"axis {self.name} is logarithmic, so its limits {self.limits} must "
                "be above 0"
            )

    @property
    def is_ordered(self) -> bool:
        """Whether neighbours on the axis are alike; categories have no order."""
        return self.spacing != "categories"

    @property
    def positions(self) -> Array:
        """Positions in `unit`, (size,) float64; of categories their indices."""
        if self.spacing == "categories":
            return np.arange(self.size, dtype=np.float64)
        if self.spacing == "logarithmic":
            return np.geomspace(*self.limits, self.size)
        return np.linspace(*self.limits, self.size)

    def describe_position(self, index: int) -> str:
        """Return one position as text, such as '440 Hz' or the category's label."""
        if self.labels:
            return self.labels[index]
        return f"{self.positions[index]:.4g} {self.unit}".rstrip()
