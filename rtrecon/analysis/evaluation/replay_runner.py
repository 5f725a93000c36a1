"""Replays clips through one encoder under conditions that change the activity."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtrecon.analysis.evaluation.progress import EvaluationProgress
from rtrecon.analysis.evaluation.scores import ClipResult
from rtrecon.analysis.evaluation.unfinished import Arrays, UnfinishedFiles
from rtrecon.config import InversionSettings
from rtrecon.core.progress import ignore_progress
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.inversion.neuron_exchange import exchange_neurons
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.live_and_map import (
    STEPS_PER_HOP,
    LiveResult,
    reconstruct_live,
)
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.inversion.space_settings import make_settings

_N_TIMED_HOPS = 3

TargetChange = Callable[[InversionTarget], InversionTarget]


def _keep_target(target: InversionTarget) -> InversionTarget:
    return target


@dataclass(frozen=True)
class Condition:
    """How clips are replayed.

    steps: optimiser steps per hop. change: applied to the recorded target. lags_frames:
    ages of frames at which the movie is also stored.
    """

    name: str
    steps: int = STEPS_PER_HOP
    change: TargetChange = _keep_target
    lags_frames: Sequence[int] = ()


@dataclass(frozen=True)
class ReplayRunner:
    """What all replays share.

    held_out: (n,) bool, neurons that enter no inversion. exchange: (n,) the neuron of
    the same group whose activity each neuron gets in the null. removal_order: the
    neurons that are not held out; a condition with fewer neurons keeps the first ones.
    progress: counts the passes. files: where replayed clips are stored to be resumed.
    """

    checkpoint: Checkpoint
    settings: InversionSettings
    held_out: Array
    exchange: Array
    removal_order: Array
    progress: EvaluationProgress
    files: UnfinishedFiles | None = None

    @classmethod
    def create(cls, checkpoint: Checkpoint, seed: int) -> ReplayRunner:
        """Return a runner; `seed` chooses the held-out neurons and the exchange."""
        settings = make_settings(checkpoint.space, seed)
        n = checkpoint.encoder.n_neurons
        rng = np.random.default_rng([seed, 21])
        held_out = np.zeros(n, bool)
        held_out[rng.permutation(n)[: round(settings.held_out_fraction * n)]] = True
        exchange = exchange_neurons(held_out, rng.permutation)
        order = rng.permutation(np.flatnonzero(~held_out))
        progress = EvaluationProgress(1, ignore_progress)
        return cls(checkpoint, settings, held_out, exchange, order, progress)

    def with_encoder(self, checkpoint: Checkpoint) -> ReplayRunner:
        """Return the same runner with another encoder of the same neurons."""
        return replace(self, checkpoint=checkpoint)

    def measure_pass_s(self, clip: Clip) -> float:
        """Replay some hops, and return the seconds that one pass takes."""
        hop = self.settings.hop_frames
        self._reconstruct(_cut_target(clip.target, hop), Condition("warming up"))
        target = _cut_target(clip.target, _N_TIMED_HOPS * hop)
        start_s = time.perf_counter()
        result = self._reconstruct(target, Condition("timing"))
        return (time.perf_counter() - start_s) / max(1, result.n_passes)

    def replay_clips(
        self, clips: Sequence[Clip], condition: Condition
    ) -> list[ClipResult]:
        """Replay the clips under a condition and return their results."""
        return [
            self._replay_clip(clip, condition, (index, len(clips)))
            for index, clip in enumerate(clips)
        ]

    def _replay_clip(
        self, clip: Clip, condition: Condition, position: tuple[int, int]
    ) -> ClipResult:
        """Replay a clip, unless an earlier run did. position: index, number of clips"""
        index, n_clips = position
        target = replace(clip.target, used_neurons=~self.held_out)
        target = condition.change(target)
        n_hops = len(target) // self.settings.hop_frames
        stored = self.files.load_clip(condition.name, index) if self.files else None
        if stored is not None:
            self.progress.add_passes(n_hops * condition.steps)
            return _restore_result(replace(clip, target=target), condition, stored)
        self.progress.start_clip(f"{condition.name}, clip {index + 1} of {n_clips}")
        replay = self._reconstruct(target, condition)
        self.progress.add_passes(replay.n_passes)
        arrays = {"movie": replay.final, "predicted": replay.predicted_activity}
        arrays |= {f"lag_{lag}": replay.movies[lag] for lag in condition.lags_frames}
        if self.files:
            self.files.save_clip(condition.name, index, arrays)
        return _restore_result(replace(clip, target=target), condition, arrays)

    def _reconstruct(self, target: InversionTarget, condition: Condition) -> LiveResult:
        return reconstruct_live(
            self.checkpoint,
            target,
            condition.steps,
            self.settings,
            lags_frames=condition.lags_frames,
        )

    # -- changes of the target ---------------------------------------------------------

    def exchange_neurons(self, target: InversionTarget) -> InversionTarget:
        """Give each neuron the activity of another one: the null."""
        return replace(target, activity=target.activity[:, self.exchange])

    def scramble_frames(self, target: InversionTarget) -> InversionTarget:
        """Shuffle the frames of activity; their mean stays the same."""
        rng = np.random.default_rng([self.settings.seed, 22])
        return replace(target, activity=target.activity[rng.permutation(len(target))])

    def select_neurons(self, fraction: float) -> TargetChange:
        """Return a change that keeps this fraction (0..1) of the neurons."""
        n_used = max(1, round(fraction * len(self.removal_order)))
        is_used = np.zeros(len(self.held_out), bool)
        is_used[self.removal_order[:n_used]] = True
        return lambda target: replace(target, used_neurons=is_used)


def _cut_target(target: InversionTarget, n_frames: int) -> InversionTarget:
    return replace(
        target, activity=target.activity[:n_frames], behavior=target.behavior[:n_frames]
    )


def _restore_result(clip: Clip, condition: Condition, arrays: Arrays) -> ClipResult:
    by_lag = {lag: arrays[f"lag_{lag}"] for lag in condition.lags_frames}
    return ClipResult(clip, arrays["movie"], arrays["predicted"], by_lag)
