"""What simulated neurons must do, so that every command can record them.

docs/how-to/add-a-subject.md says how to add others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rtrecon.core.types import Array

if TYPE_CHECKING:
    from rtrecon.simulate.behavior import BehaviorTraces  # scipy is slow to import

DEFAULT_SUBJECT = "simulated"
NOISE_NAMES = ("poisson", "sensorium")
MEAN_RATE_HZ = 1.3  # of the median neuron; as in the Sensorium 2023 recordings
_RATE_SPREAD = 0.6  # s.d. of the logarithm of the neurons' mean rates


@dataclass(frozen=True)
class SubjectOptions:
    """Which neurons to simulate; the same options give the same neurons.

    subject: a name of the registry, with ":FILE" where it needs a file. mouse_seed:
    determines everything that is drawn. spread: of the receptive-field centres; 1 = as
    in a real field of view, None = as the subject has it. direction_selective: share of
    the neurons, 0 to 1; None = as the subject has it. noise: one of
    `NOISE_NAMES`. file_sha256: hash that the file must have; "" = any.
    """

    subject: str = DEFAULT_SUBJECT
    n_neurons: int = 1000
    mouse_seed: int = 0
    spread: float | None = None
    direction_selective: float | None = None
    noise: str = "poisson"
    file_sha256: str = ""


@dataclass(frozen=True)
class SubjectRequest:
    """All that a subject is made from.

    file: what the user named after the colon; None if the subject needs none.
    calibration: uint8 (T, 36, 64), a natural movie that sets gains and rates.
    """

    options: SubjectOptions
    file: Path | None
    calibration: Array


class Subject(Protocol):
    """n neurons with fixed tuning that watch a movie of the encoder's frame rate."""

    @property
    def seed(self) -> int:
        """Seed of the neurons; the noise of their trials depends on it, too."""
        ...

    def __len__(self) -> int:
        """Return the number of neurons."""
        ...

    def respond(self, movie: Array, behavior: BehaviorTraces) -> Array:
        """Return expected spikes per encoder frame, float32 (T, n).

        movie: uint8 (T, 36, 64). Only frame t and earlier ones influence row t. The
        screen is gray before the first frame. Raises UserError where the movie has
        another size.
        """
        ...

    def draw_shared_gain(self, n_frames: int, rng: np.random.Generator) -> Array:
        """Return the gain of one trial that neurons share, (T, n) or (T, 1); mean 1.

        It multiplies what `respond` returns, and neither movie nor behavior explains
        it. All ones where there is none.
        """
        ...

    def map_seen_field(self) -> Array:
        """Return (36, 64): how much each pixel drives the neurons; largest = 1."""
        ...


def draw_mean_rates_hz(n_neurons: int, rng: np.random.Generator) -> Array:
    """Return (n,) mean rates in spikes/s, spread as in recordings."""
    logarithms = rng.normal(np.log(MEAN_RATE_HZ), _RATE_SPREAD, n_neurons)
    return np.asarray(np.exp(logarithms))
