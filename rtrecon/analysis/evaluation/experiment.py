"""The comparisons of an evaluation: quality, and what makes it better or worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rtrecon.analysis.evaluation.baselines import (
    decode_by_ridge,
    predict_activity,
    show_mean_frame,
)
from rtrecon.analysis.evaluation.identification import identify_clips
from rtrecon.analysis.evaluation.plan import NEURON_FRACTIONS, STEP_COUNTS
from rtrecon.analysis.evaluation.replay_runner import Condition, ReplayRunner
from rtrecon.analysis.evaluation.scores import (
    MISSING_REASONS,
    ClipResult,
    ClipScorer,
    Scores,
    explain_missing_scores,
)
from rtrecon.analysis.evaluation.statistic import (
    StatisticRow,
    StatisticTable,
    summarize_scores,
)
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.inversion.offline.clips import Clip

# Rows of the table `quality`; the last is left out if there is only one clip.
LIVE_ROW, NULL_ROW, MEAN_FRAME_ROW, RIDGE_ROW = "live", "null", "mean frame", "ridge"
MAIN_SCORES = ("visual_field_r", "video_r", "frame_r", "contrast", "held_out_r")


@dataclass(frozen=True)
class Experiment:
    """One session and one encoder. results: the reconstruction of each clip.

    on_progress: for the imaging of simulated controls; `runner` reports all replays.
    """

    runner: ReplayRunner
    scorer: ClipScorer
    clips: Sequence[Clip]
    results: list[ClipResult]
    on_progress: ProgressCallback

    @classmethod
    def reconstruct_clips(
        cls,
        runner: ReplayRunner,
        scorer: ClipScorer,
        clips: Sequence[Clip],
        on_progress: ProgressCallback,
    ) -> Experiment:
        """Reconstruct the clips and return the experiment."""
        lags_frames = runner.checkpoint.space.lags_frames
        condition = Condition("reconstructing", lags_frames=lags_frames)
        results = runner.replay_clips(clips, condition)
        return cls(runner, scorer, clips, results, on_progress)

    def measure_quality(self) -> StatisticTable:
        """Return all scores of the movie and of its baselines, on the same frames.

        Baselines: the null (neurons exchanged), the training movies' mean frame, and
        ridge regression on the session's other clips.
        """
        null = Condition("null", change=self.runner.exchange_neurons)
        checkpoint = self.runner.checkpoint
        rows = {
            LIVE_ROW: self.results,
            NULL_ROW: self.runner.replay_clips(self.clips, null),
            MEAN_FRAME_ROW: show_mean_frame(checkpoint, self.clips),
        }
        if len(self.clips) > 1:
            self.on_progress("baselines", 0.0, "ridge regression on the other clips")
        if ridge := decode_by_ridge(checkpoint, self.clips, self.runner.held_out):
            rows[RIDGE_ROW] = ridge
        return {name: self._summarize_fully(results) for name, results in rows.items()}

    def compare_lags(self) -> StatisticTable:
        """Return scores of the movie at each lag, when its frames had that age."""
        rate_hz = self.clips[0].rate_hz
        table: StatisticTable = {}
        for lag in self.runner.checkpoint.space.lags_frames:
            results_at_lag = [
                ClipResult(result.clip, result.movie_by_lag[lag], result.predicted)
                for result in self.results
            ]
            table[f"{1e3 * lag / rate_hz:.0f} ms"] = self.summarize_results(
                results_at_lag, MAIN_SCORES[:-1]
            )
        return {**table, "final": self.summarize_results(self.results)}

    def compare_neuron_counts(self) -> StatisticTable:
        """Return scores with fewer neurons; the others leave the likelihood."""
        table: StatisticTable = {}
        for share in NEURON_FRACTIONS[:-1]:
            change = self.runner.select_neurons(share)
            condition = Condition(f"{share:.1%} of the neurons", change=change)
            table[f"{share:.1%}"] = self.run_condition(condition)
        full_row = self.summarize_results(self.results)
        return {**table, f"{NEURON_FRACTIONS[-1]:.1%}": full_row}

    def compare_step_counts(self) -> StatisticTable:
        """Return scores with fewer optimiser steps per hop."""
        return {
            str(n): self.run_condition(Condition(f"{n} steps per hop", n))
            for n in STEP_COUNTS[:-1]
        } | {str(STEP_COUNTS[-1]): self.summarize_results(self.results)}

    def compare_encoders(self, others: Sequence[Checkpoint]) -> StatisticTable:
        """Return scores of the mean movie of the first 1, 2, ... encoders."""
        results_by_encoder = [self.results]
        table = {"1": self.summarize_results(self.results)}
        for number, other in enumerate(others, 2):
            runner = self.runner.with_encoder(other)
            condition = Condition(f"encoder {number}")
            results_by_encoder.append(runner.replay_clips(self.clips, condition))
            averaged = _average_encoders(results_by_encoder)
            table[str(number)] = self.summarize_results(averaged)
        return table

    def score_clips(self, results: Sequence[ClipResult]) -> list[Scores]:
        """Return all scores of each clip, in order, but for identification."""
        return [
            self.scorer.score_fully(result, response)
            for result, response in zip(results, self._stimulus_responses, strict=True)
        ]

    @cached_property
    def _stimulus_responses(self) -> list[Array | None]:
        """The activity (T, n) that the encoder predicts for each clip's stimulus."""
        return [
            None
            if clip.stimulus is None
            else predict_activity(self.runner.checkpoint, clip, clip.stimulus)
            for clip in self.clips
        ]

    def _summarize_fully(self, results: Sequence[ClipResult]) -> StatisticRow:
        identified = identify_clips(results, self.scorer.visual_field)
        scores = [
            score | more
            for score, more in zip(self.score_clips(results), identified, strict=True)
        ]
        return summarize_scores(scores, explain_missing_scores(results))

    def summarize_results(
        self, results: Sequence[ClipResult], names: Sequence[str] = MAIN_SCORES
    ) -> StatisticRow:
        """Return mean and spread of these scores over clips."""
        reasons = {name: MISSING_REASONS[name] for name in names}
        scores = [self.scorer.score_main(result) for result in results]
        return summarize_scores(scores, reasons)

    def run_condition(
        self, condition: Condition, clips: Sequence[Clip] | None = None
    ) -> StatisticRow:
        """Replay the session's clips, or others, under a condition; return scores."""
        return self.summarize_results(
            self.runner.replay_clips(self.clips if clips is None else clips, condition)
        )


def _average_encoders(
    results_by_encoder: Sequence[Sequence[ClipResult]],
) -> list[ClipResult]:
    """Return the mean movie and prediction of several encoders, clip by clip."""
    return [
        ClipResult(
            results[0].clip,
            np.mean([result.movie for result in results], 0),
            np.mean([result.predicted for result in results], 0),
        )
        for results in zip(*results_by_encoder, strict=True)
    ]
