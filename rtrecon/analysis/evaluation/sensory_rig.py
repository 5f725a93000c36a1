"""The simulated neurons of another sense; presents any stimulus to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.card import Card
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.simulate.sensory_session import (
    SensoryOptions,
    read_sensory_options,
    simulate_sensory_session,
)

_SEED = 6000  # of noise and stimuli; no training uses it
_LEAD_FRAMES = 50  # presented first and left out, so that every clip has a past


@dataclass(frozen=True)
class SensoryRig:
    """Electrodes in the neurons that an encoder of another sense was trained on."""

    card: Card
    neurons: SensoryOptions
    seed: int

    @classmethod
    def for_encoder(cls, card: Card, seed: int) -> SensoryRig:
        """Return the rig that an encoder was trained on; UserError if it was real."""
        return cls(card, read_sensory_options(card.metadata, card.path), seed)

    def with_another_mouse(self) -> SensoryRig:
        """Return the rig with as many neurons of another animal."""
        seed = self.neurons.subject_seed + 1
        return replace(self, neurons=replace(self.neurons, subject_seed=seed))

    def make_stimulus(self, n_frames: int) -> Array:
        """Return frames uint8 (T, *shape) that no training used."""
        return self.neurons.find_sense().make_stimulus(n_frames, _SEED + self.seed)

    def show_movie(
        self, movie: Array, clip_frames: int, on_progress: ProgressCallback
    ) -> list[Clip]:
        """Present frames (T, *shape) and count spikes; return whole clips."""
        on_progress("simulating", 0.0, f"{len(movie)} frames")
        space, rate_hz = self.card.space, self.card.space.rate_hz
        levels = np.concatenate([movie[:1].repeat(_LEAD_FRAMES, 0), movie])
        session = simulate_sensory_session(
            self.neurons.make_subject(), levels, _SEED + self.seed
        )
        clips = []
        for start in range(0, len(movie) - clip_frames + 1, clip_frames):
            frames = slice(_LEAD_FRAMES + start, _LEAD_FRAMES + start + clip_frames)
            behavior = np.full((clip_frames, len(BEHAVIOR)), np.nan, np.float32)
            clip = Clip(
                name=f"animal {self.neurons.subject_seed}, {start / rate_hz:g} s",
                target=InversionTarget(session.counts[frames], behavior),
                stimulus=levels[frames].astype(np.float32),
                neuron_ids=self.card.rois.ids,
                rate_hz=rate_hz,
                space=space,
            )
            clips.append(clip)
        on_progress("simulating", 1.0, f"{len(clips)} clips")
        return clips
