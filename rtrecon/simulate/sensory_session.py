"""Simulated sessions of another sense: a stimulus, and the spikes that it causes.

Spikes are counted in bins of one encoder frame, as sorting of an electrode array gives
them: calcium is too slow for 100 frames per second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.simulate.senses import Sense, SensorySubject, find_sense

_KEY = "simulated_sense"  # of a checkpoint's metadata


@dataclass(frozen=True)
class SensoryOptions:
    """What simulated neurons are made from. sense: name of the stimulus space."""

    sense: str
    n_neurons: int
    subject_seed: int = 0

    def make_subject(self) -> SensorySubject:
        """Return the neurons; UserError if there can be none."""
        if self.n_neurons < 1:
            raise UserError(f"{self.n_neurons} neurons are too few; give 1 or more")
        return self.find_sense().make_subject(self.n_neurons, self.subject_seed)

    def find_sense(self) -> Sense:
        """Return the sense; UserError for one nobody knows."""
        return find_sense(self.sense)

    @cached_property
    def neuron_ids(self) -> Array:
        """Ids of the neurons, int64 (n,), from 1."""
        return np.arange(1, 1 + self.n_neurons, dtype=np.int64)

    def to_metadata(self) -> dict[str, Any]:
        """Return the options as an entry of a checkpoint's metadata."""
        fields = {
            "sense": self.sense,
            "n_neurons": self.n_neurons,
            "subject_seed": self.subject_seed,
        }
        return {_KEY: fields}


@dataclass(frozen=True)
class SensorySession:
    """One recording. levels: uint8 (T, *space.shape). rates, counts: (T, n) per bin."""

    levels: Array
    rates: Array
    counts: Array


def is_simulated_sense(metadata: dict[str, Any]) -> bool:
    """Whether a checkpoint was trained on simulated neurons of another sense."""
    return _KEY in metadata


def read_sensory_options(metadata: dict[str, Any], path: object) -> SensoryOptions:
    """Return the neurons that a checkpoint was trained on; UserError if it names none.

    path: of the checkpoint, for the error.
    """
    try:
        stored = metadata[_KEY]
        sense, n, seed = (stored[k] for k in ("sense", "n_neurons", "subject_seed"))
        return SensoryOptions(str(sense), int(n), int(seed))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"checkpoint {path} was not trained on simulated neurons of another sense; "
            "give one that `rtrecon train --simulate --sense` made"
        ) from None


def simulate_sensory_session(
    subject: SensorySubject, levels: Array, seed: int
) -> SensorySession:
    """Present frames (T, *shape) to the neurons; `seed` determines their noise."""
    rng = np.random.default_rng([seed, 91])
    rates = subject.compute_rates(levels, rng)
    counts = np.asarray(rng.poisson(rates), np.float32)
    return SensorySession(levels, rates, counts)
