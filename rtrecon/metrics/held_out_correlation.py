"""Correlation of the activity of held-out neurons with what the movie predicts."""

from __future__ import annotations

import numpy as np

from rtrecon.metrics.evidence import (
    HopEvidence,
    MetricSetup,
)
from rtrecon.metrics.running_correlation import RunningNeuronCorrelation
from rtrecon.metrics.similarity import mean_of_defined


class HeldOutCorrelation:
    """Mean over held-out neurons of r between predicted and recorded activity.

    A neuron counts with enough finite values in the window, the newest of them at most
    `MAX_EVIDENCE_AGE_S` old. Neurons that are not in the image today are NaN
    throughout: the others count without them.
    """

    def __init__(self, setup: MetricSetup) -> None:
        n_held_out = setup.n_held_out
        self._min_frames = setup.min_frames
        self._max_age_frames = setup.max_evidence_age_frames
        self._running = RunningNeuronCorrelation(n_held_out, setup.window_frames)
        self._age_frames = np.full(n_held_out, np.inf)  # of each newest finite value

    def add_hop(self, evidence: HopEvidence) -> None:
        """Add the frames of one hop."""
        for predicted, recorded in zip(
            evidence.predicted, evidence.recorded, strict=True
        ):
            self._running.add_sample(predicted, recorded)
            self._age_frames += 1
            self._age_frames[np.isfinite(recorded)] = 0

    def value(self) -> float | None:
        """Return the mean r of the neurons that count; None if there are none."""
        has_evidence = self._running.count_samples() >= self._min_frames
        has_evidence &= self._age_frames <= self._max_age_frames
        r = mean_of_defined(self._running.per_neuron()[has_evidence])
        return None if np.isnan(r) else float(r)
