"""Senses that can be simulated: a stimulus space, its stimuli and its neurons.

To add a sense, add its space, its stimuli and a subject, and one `Sense` to `SENSES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.simulate.auditory.cortex import AuditoryCortex
from rtrecon.simulate.auditory.sounds import make_natural_sound
from rtrecon.simulate.tactile.cortex import BarrelCortex
from rtrecon.simulate.tactile.whisking import make_whisking
from rtrecon.sources.sound_file import read_sound
from rtrecon.sources.touch_file import read_touch_levels
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.spectrogram import compute_levels
from rtrecon.stimulus_space.touch import TOUCH


class SensorySubject(Protocol):
    """Simulated neurons of one sense."""

    @property
    def n_neurons(self) -> int: ...  # noqa: D102

    def compute_rates(self, levels: Array, rng: np.random.Generator) -> Array:
        """Return expected spikes per bin (T, n) for frames of the sense's space."""
        ...

    def map_sensitivity(self) -> Array:
        """Return how much each value of a frame drives the neurons; largest = 1."""
        ...


@dataclass(frozen=True)
class SensoryStimulus:
    """A stimulus. levels: uint8 (T, *space.shape). notices: sentences on the file."""

    levels: Array
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sense:
    """What a simulation of one sense is made from.

    make_stimulus: from frames and seed. read_stimulus: from a file of the user.
    make_subject: from number of neurons and seed.
    """

    space: StimulusSpace
    n_neurons: int
    make_stimulus: Callable[[int, int], Array]
    read_stimulus: Callable[[Path], SensoryStimulus]
    make_subject: Callable[[int, int], SensorySubject]


def find_sense(name: str) -> Sense:
    """Return a sense by the name of its space; UserError for one nobody knows."""
    if name not in SENSES:
        raise UserError(
            f"there is no sense '{name}' to simulate; choose video, {', '.join(SENSES)}"
        )
    return SENSES[name]


def _make_sound(n_frames: int, seed: int) -> Array:
    return compute_levels(make_natural_sound(n_frames / SOUND.rate_hz, seed))


def _read_sound(path: Path) -> SensoryStimulus:
    sound = read_sound(path)
    return SensoryStimulus(compute_levels(sound.samples), sound.notices)


def _read_touch(path: Path) -> SensoryStimulus:
    return SensoryStimulus(read_touch_levels(path))


SENSES = {
    SOUND.name: Sense(SOUND, 500, _make_sound, _read_sound, AuditoryCortex),
    TOUCH.name: Sense(TOUCH, 300, make_whisking, _read_touch, BarrelCortex),
}
