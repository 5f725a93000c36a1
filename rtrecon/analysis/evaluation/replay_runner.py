"""One encoder at the bench: clips replayed with something changed, and scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtrecon.analysis.evaluation.scores import Made
from rtrecon.config import InvertSettings
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.compact import STEPS_PER_HOP, reconstruct_live
from rtrecon.inversion.offline.target import Report, Target

Change = Callable[[Target], Target]


def _unchanged(target: Target) -> Target:
    return target


@dataclass(frozen=True)
class Way:
    """How clips are replayed. change: of what was recorded. lags_frames: also kept."""

    name: str
    steps: int = STEPS_PER_HOP
    change: Change = _unchanged
    lags_frames: Sequence[int] = ()


@dataclass(frozen=True)
class Bench:
    """What is the same for every replay.

    hidden: (n,) bool, neurons held out of every inversion. exchange: (n,) whose
    activity each neuron is given for the null; another's, of its own group. order: of
    the neurons that are not hidden, the first of which stay where fewer are left in.
    """

    checkpoint: Checkpoint
    settings: InvertSettings
    hidden: Array
    exchange: Array
    order: Array

    @classmethod
    def of(cls, checkpoint: Checkpoint, seed: int) -> Bench:
        """Return a bench; neurons are held out and exchanged as `seed` says."""
        settings = InvertSettings(seed=seed)
        n = checkpoint.model.n_neurons
        rng = np.random.default_rng([seed, 21])
        hidden = np.zeros(n, bool)
        hidden[rng.permutation(n)[: round(settings.held_out * n)]] = True
        exchange = np.arange(n)
        for group in (hidden, ~hidden):
            ring = rng.permutation(np.flatnonzero(group))
            exchange[ring] = np.roll(ring, 1)
        order = rng.permutation(np.flatnonzero(~hidden))
        return cls(checkpoint, settings, hidden, exchange, order)

    def with_encoder(self, checkpoint: Checkpoint) -> Bench:
        """Return the same bench with another encoder of the same neurons."""
        return replace(self, checkpoint=checkpoint)

    def made(self, clips: Sequence[Clip], way: Way, report: Report) -> list[Made]:
        """Replay clips, each in the same way; returns what was made of them."""
        made = []
        for place, clip in enumerate(clips):
            report(way.name, place / len(clips), f"clip {place + 1} of {len(clips)}")
            made.append(self._replayed(clip, way))
        report(way.name, 1.0, f"{len(clips)} clips")
        return made

    def _replayed(self, clip: Clip, way: Way) -> Made:
        changed = way.change(replace(clip.target, kept=~self.hidden))
        replay = reconstruct_live(
            self.checkpoint,
            changed,
            way.steps,
            self.settings,
            lags_frames=way.lags_frames,
        )
        by_lag = {lag: replay.movies[lag] for lag in way.lags_frames}
        known = replace(clip, target=changed)
        return Made(known, replay.final, replay.predicted, by_lag)

    # -- what can be changed -----------------------------------------------------------

    def exchanged(self, target: Target) -> Target:
        """Give every neuron another's activity: what nothing looks like."""
        return replace(target, activity=target.activity[:, self.exchange])

    def scrambled(self, target: Target) -> Target:
        """Put the frames of activity in any order; their mean stays what it was."""
        rng = np.random.default_rng([self.settings.seed, 22])
        return replace(target, activity=target.activity[rng.permutation(len(target))])

    def only(self, share: float) -> Change:
        """Return a change that leaves so many of the neurons in, 0..1."""
        kept = np.zeros(len(self.hidden), bool)
        kept[self.order[: max(1, round(share * len(self.order)))]] = True
        return lambda target: replace(target, kept=kept)
