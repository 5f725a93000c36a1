"""Computes the live quality metrics, hop by hop, for the movie and for the null.

Which metrics there are, and how each is computed, is in `metrics.live_metrics`. This
module gives every metric its evidence: the frames of one age, the stimulus of these
frames where it is known, and the activity of the held-out neurons.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.live_metrics import (
    LIVE_METRICS,
    HopEvidence,
    LiveMetric,
    MetricAccumulator,
)

_Key = TypeVar("_Key")

_MAX_STIMULI = 300  # encoder frames whose stimulus is stored


@dataclass(frozen=True)
class WindowEstimate:
    """A window of W frames after a hop, oldest frame first.

    encoder_frame: of the newest one. movie: (W, 36, 64). predicted, recorded:
    (W, n) activity of all neurons; recorded is NaN where activity was lost.
    """

    encoder_frame: int
    movie: Array
    predicted: Array
    recorded: Array


class LiveQuality:
    """Computes all metrics over the last seconds of a session.

    held_out: (n,) bool. A hop has `hop_frames`, a window `window_frames`.
    """

    def __init__(
        self,
        held_out: Array,
        hop_frames: int,
        window_frames: int,
        metrics: Sequence[LiveMetric] = LIVE_METRICS,
    ) -> None:
        self._held_out = np.flatnonzero(held_out)
        self._hop_frames = hop_frames
        self._n_hops = window_frames // hop_frames
        self._metrics = metrics
        self.begin_session()

    def begin_session(self) -> None:
        """Discard all that the metrics have seen."""
        self._live = {metric.name: self._by_age(metric) for metric in self._metrics}
        self._null = {
            metric.name: self._create_accumulator(metric)
            for metric in self._metrics
            if metric.has_null
        }
        self._stimuli: OrderedDict[int, Array] = OrderedDict()
        self._evidence_age_frames: int | None = None

    @property
    def evidence_age_frames(self) -> int | None:
        """Final frames since the newest finite activity of a held-out neuron.

        None if there was none in this session.
        """
        return self._evidence_age_frames

    def add_stimulus(self, encoder_frame: int, image: Array) -> None:
        """Store the stimulus (36, 64) at an encoder frame."""
        self._stimuli[encoder_frame] = image
        while len(self._stimuli) > _MAX_STIMULI:
            self._stimuli.popitem(last=False)

    def add_hop(self, window: WindowEstimate) -> None:
        """Add the live movie after a hop."""
        for age in range(self._n_hops):
            evidence = self._select_evidence(window, age)
            for accumulators in self._live.values():
                if age in accumulators:
                    accumulators[age].add_hop(evidence)
        self._update_evidence_age(evidence)  # the last one: of frames now final

    def add_null_hop(self, window: WindowEstimate) -> None:
        """Add the null's movie after a hop; only its final frames count."""
        evidence = self._select_evidence(window, self._n_hops - 1)
        for accumulator in self._null.values():
            accumulator.add_hop(evidence)

    def values(self) -> dict[str, float]:
        """Return every value that is known, by the series' name (`QualitySeries`)."""
        final = self._n_hops - 1
        values: dict[str, float | None] = {}
        for metric in self._metrics:
            values[metric.name] = self._live[metric.name][final].value()
            if metric.has_null:
                values[metric.null_name] = self._null[metric.name].value()
        return _drop_unknown(values)

    def values_by_age(self) -> dict[str, dict[int, float]]:
        """Return the known values of metrics that are measured by lag.

        By the metric's name, then by age in hops: 0 is the newest hop of the window.
        """
        return {
            metric.name: _drop_unknown(
                {age: each.value() for age, each in self._live[metric.name].items()}
            )
            for metric in self._metrics
            if metric.by_lag
        }

    def _update_evidence_age(self, evidence: HopEvidence) -> None:
        has_activity = np.asarray(np.isfinite(evidence.recorded).any(axis=1))
        if has_activity.any():
            self._evidence_age_frames = int(np.argmax(has_activity[::-1]))
        elif self._evidence_age_frames is not None:
            self._evidence_age_frames += len(has_activity)

    def _by_age(self, metric: LiveMetric) -> dict[int, MetricAccumulator]:
        """Return an accumulator for each age in hops at which the metric is taken."""
        first = 0 if metric.by_lag else self._n_hops - 1
        return {
            age: self._create_accumulator(metric) for age in range(first, self._n_hops)
        }

    def _create_accumulator(self, metric: LiveMetric) -> MetricAccumulator:
        return metric.create(len(self._held_out))

    def _select_evidence(self, window: WindowEstimate, age: int) -> HopEvidence:
        """Return the hop of frames that is `age` hops old; 0 is the newest."""
        stop = len(window.movie) - age * self._hop_frames
        frames = slice(stop - self._hop_frames, stop)
        oldest = window.encoder_frame + 1 - len(window.movie)
        return HopEvidence(
            movie=window.movie[frames],
            stimulus=[
                self._stimuli.get(oldest + position)
                for position in range(frames.start, frames.stop)
            ],
            predicted=window.predicted[frames, self._held_out],
            recorded=window.recorded[frames, self._held_out],
        )


def _drop_unknown(values: dict[_Key, float | None]) -> dict[_Key, float]:
    return {key: value for key, value in values.items() if value is not None}
