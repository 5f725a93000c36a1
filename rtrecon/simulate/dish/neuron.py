"""A simulated neuron: a body and a tree of neurites, which are chains of points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from rtrecon.core.types import Array

MIN_RADIUS_PX, MAX_RADIUS_PX = 6.0, 9.0
_MAX_STEMS = 4
_CARRIED_LENGTH_PX = 60.0  # a crawling body drags its neurites along up to here
_FAST_FRACTION = 0.15  # of neurons that crawl fast while they are young


class TipState(StrEnum):
    """What the tip of a neurite does."""

    GROWING = "growing"
    RESTING = "resting"
    RETRACTING = "retracting"
    HOLDING = "holding"  # it touches another neuron


@dataclass(eq=False)
class Neurite:
    """A piece of a tree without a branching point; eq by identity.

    points: (y, x) about 1 px apart, from the body outwards. path_px: length from the
    body to each point. heading: of the tip, radians. met: the neuron that the tip met.
    """

    points: list[Array]
    path_px: list[float]
    heading: float
    parent: Neurite | None = None
    children: list[Neurite] = field(default_factory=list)
    state: TipState = TipState.GROWING
    met: int = 0

    @property
    def is_tip(self) -> bool:
        """Return whether it ends freely."""
        return not self.children


@dataclass(eq=False)
class Neuron:
    """One neuron. number: from 1. death_step: None while it lives on."""

    number: int
    center: Array
    radius_px: float
    brightness: float
    is_fast: bool
    tilt: float
    velocity: Array = field(default_factory=lambda: np.zeros(2))
    neurites: list[Neurite] = field(default_factory=list)
    death_step: int | None = None

    def is_alive(self, step: int) -> bool:
        """Return whether it lives at this time step."""
        return self.death_step is None or step < self.death_step

    def move(self, shift: Array) -> None:
        """Move the body; the neurites near it follow, the far ones stay in place."""
        self.center = self.center + shift
        for neurite in self.neurites:
            pull = np.exp(-np.array(neurite.path_px) / _CARRIED_LENGTH_PX)
            moved = np.array(neurite.points) + pull[:, None] * shift
            neurite.points = list(moved)

    def trace(self) -> Iterator[tuple[Neurite, Array]]:
        """Yield each neurite and its points (n, 2), without those in the body."""
        for neurite in self.neurites:
            points = np.array(neurite.points)
            is_outside = np.hypot(*(points - self.center).T) > self.radius_px
            yield neurite, points[is_outside]


def make_neuron(number: int, center: Array, rng: np.random.Generator) -> Neuron:
    """Make a young neuron: a body with two to four short stems."""
    neuron = Neuron(
        number,
        center,
        radius_px=rng.uniform(MIN_RADIUS_PX, MAX_RADIUS_PX),
        brightness=float(np.exp(rng.normal(0, 0.35))),
        is_fast=bool(rng.random() < _FAST_FRACTION),
        tilt=rng.uniform(0, np.pi),
    )
    n_stems, first = int(rng.integers(2, _MAX_STEMS + 1)), rng.uniform(0, 2 * np.pi)
    for k in range(n_stems):
        heading = first + 2 * np.pi * k / n_stems + rng.normal(0, 0.3)
        start = center + neuron.radius_px * point_at(heading)
        neuron.neurites.append(Neurite([start], [0.0], heading))
    return neuron


def point_at(heading: float) -> Array:
    """Return the unit vector (y, x) of a heading in radians."""
    return np.array([np.sin(heading), np.cos(heading)])
