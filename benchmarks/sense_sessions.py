"""Simulated sessions of sound and touch to compare methods on.

Training is the session that the encoder was trained on, which follows from its seeds.
Tuning and test clips are of other stimuli of the same neurons, each with a seed of its
own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from rtrecon.core.types import Array
from rtrecon.encoder.card import find_checkpoint
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.metrics.similarity import neuron_correlations
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.simulate.sensory_session import (
    SensoryOptions,
    SensorySession,
    read_sensory_options,
    simulate_sensory_session,
)
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.training.sensory import TRAINING_SEED

CLIP_S = 10.0
_TUNING_SEED, _TEST_SEED = 8000, 9000


@dataclass(frozen=True)
class SessionSize:
    """Minutes of training, and clips of 10 s to tune on and to test on."""

    training_minutes: float = 10.0
    n_tuning: int = 2
    n_tests: int = 5


@dataclass(frozen=True)
class SenseSessions:
    """The sessions of one sense, and the encoder that comes with rtrecon."""

    sense: str
    size: SessionSize = SessionSize()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The encoder; it was trained on 10 minutes."""
        return load_checkpoint(find_checkpoint(f"demo-{self.sense}"))

    @property
    def space(self) -> StimulusSpace:
        """What a frame of the sense is."""
        return self.checkpoint.space

    @cached_property
    def neurons(self) -> SensoryOptions:
        """What the neurons are made from."""
        card = self.checkpoint.card
        return read_sensory_options(card.metadata, card.path)

    @cached_property
    def training(self) -> list[Clip]:
        """The session that the encoder was trained on, in clips."""
        minutes = self.size.training_minutes
        session = self._simulate(
            round(60 * minutes * self.space.rate_hz), TRAINING_SEED
        )
        n = self.clip_frames
        starts = range(0, len(session.levels) - n + 1, n)
        return [self.make_clip(session, start, start + n) for start in starts]

    @cached_property
    def tuning_sessions(self) -> list[SensorySession]:
        """What the tuning clips are made from."""
        seeds = range(_TUNING_SEED, _TUNING_SEED + self.size.n_tuning)
        return [self.simulate_clip(seed) for seed in seeds]

    @cached_property
    def tuning(self) -> list[Clip]:
        """Clips to choose settings on."""
        return [self._make_whole_clip(session) for session in self.tuning_sessions]

    @cached_property
    def test_sessions(self) -> list[SensorySession]:
        """What the test clips are made from: stimulus, true rates, counts."""
        seeds = range(_TEST_SEED, _TEST_SEED + self.size.n_tests)
        return [self.simulate_clip(seed) for seed in seeds]

    @cached_property
    def tests(self) -> list[Clip]:
        """The test clips."""
        return [self._make_whole_clip(session) for session in self.test_sessions]

    @property
    def clip_frames(self) -> int:
        """Length of a clip."""
        return round(CLIP_S * self.space.rate_hz)

    def simulate_clip(self, seed: int) -> SensorySession:
        """Return one clip of a seed."""
        return self._simulate(self.clip_frames, seed)

    def make_clip(self, session: SensorySession, start: int, stop: int) -> Clip:
        """Return frames start to stop as the offline methods take them."""
        behavior = np.full((stop - start, len(BEHAVIOR)), np.nan, np.float32)
        return Clip(
            name=self.sense,
            target=InversionTarget(session.counts[start:stop], behavior),
            stimulus=session.levels[start:stop].astype(np.float32),
            neuron_ids=self.neurons.neuron_ids,
            rate_hz=self.space.rate_hz,
            space=self.space,
        )

    def compare_with_true_rates(self) -> float:
        """Return the encoder's r with counts, divided by that of the true rates.

        Means over neurons, over the frames of all test clips.
        """
        encoder, basis = self.checkpoint.encoder, make_dct_basis(self.space)
        past = encoder.past_frames
        parts: list[tuple[Array, Array, Array]] = []
        for session in self.test_sessions:
            behavior = torch.zeros(len(session.levels), len(BEHAVIOR))
            coef = basis.from_pixels(session.levels.astype(np.float32))
            with torch.no_grad():
                found = encoder.predict(coef, behavior).numpy()
            parts.append((found, session.rates[past:], session.counts[past:]))
        predicted, rates, counts = map(np.concatenate, zip(*parts, strict=True))
        ours = np.nanmean(neuron_correlations(predicted, counts))
        return float(ours / np.nanmean(neuron_correlations(rates, counts)))

    def _make_whole_clip(self, session: SensorySession) -> Clip:
        return self.make_clip(session, 0, len(session.levels))

    def _simulate(self, n_frames: int, seed: int) -> SensorySession:
        levels = self.neurons.find_sense().make_stimulus(n_frames, seed)
        return simulate_sensory_session(self.neurons.make_subject(), levels, seed)
