"""Computes the live quality metrics, hop by hop, for the movie and for its baselines.

Which metrics there are, and how each is computed, is in `metrics.live_metrics`. This
module gives every metric its evidence: the frames of one age, the stimulus of these
frames where it is known, and the activity of the held-out neurons.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.evidence import (
    MIN_S,
    WINDOW_S,
    HopEvidence,
    MetricAccumulator,
    MetricSetup,
)
from rtrecon.metrics.live_metrics import (
    LIVE_METRICS,
    Baseline,
    LiveMetric,
)
from rtrecon.stimulus_space.space import StimulusSpace

_Key = TypeVar("_Key")

_MAX_STIMULI_S = 10.0  # of encoder frames whose stimulus is stored


@dataclass(frozen=True)
class WindowEstimate:
    """A window of W frames after a hop, oldest frame first.

    encoder_frame: of the newest one. movie: (W, height, width). predicted, recorded:
    (W, n) activity of all neurons; recorded is NaN where activity was lost.
    stimulus_response: (h, n) what the encoder predicts for the stimulus of the hop that
    has just become final, None where it is not known.
    """

    encoder_frame: int
    movie: Array
    predicted: Array
    recorded: Array
    stimulus_response: Array | None = None


@dataclass(frozen=True)
class QualitySettings:
    """What live quality is measured with.

    held_out: (n,) bool. visual_field: bool (height, width), pixels where the neurons
    look. mean_frame: (height, width) mean of the training movies. A hop has
    `hop_frames`, a window `window_frames`. space: of the stimuli.
    """

    held_out: Array
    visual_field: Array
    mean_frame: Array
    hop_frames: int
    window_frames: int
    space: StimulusSpace
    rate_hz: float = 30.0

    def make_metric_setup(self) -> MetricSetup:
        """Return what accumulators need; they look at one still frame per hop."""
        return MetricSetup(
            visual_field=self.visual_field,
            n_held_out=int(self.held_out.sum()),
            rate_hz=self.rate_hz,
            window_frames=round(WINDOW_S * self.rate_hz),
            min_frames=round(MIN_S * self.rate_hz),
            frame_step=self.hop_frames,
            is_picture=self.space.is_picture,
        )


class LiveQuality:
    """Computes all metrics over the last seconds of a session."""

    def __init__(
        self,
        settings: QualitySettings,
        metrics: Sequence[LiveMetric] = LIVE_METRICS,
    ) -> None:
        self.visual_field = settings.visual_field
        self._setup = settings.make_metric_setup()
        self._held_out = np.flatnonzero(settings.held_out)
        self._hop_frames = settings.hop_frames
        self._n_hops = settings.window_frames // settings.hop_frames
        self._mean_movie = np.repeat(settings.mean_frame[None], self._hop_frames, 0)
        is_picture = settings.space.is_picture
        self._metrics = [
            metric for metric in metrics if is_picture or not metric.needs_picture
        ]
        self._max_stimuli = round(_MAX_STIMULI_S * settings.rate_hz)
        self.begin_session()

    def begin_session(self) -> None:
        """Discard all that the metrics have seen."""
        self._live = {metric.name: self._by_age(metric) for metric in self._metrics}
        self._null = self._create_baseline("null")
        self._mean_frame = self._create_baseline("mean_frame")
        self._stimuli: OrderedDict[int, Array] = OrderedDict()
        self._evidence_age_frames: int | None = None

    @property
    def evidence_age_frames(self) -> int | None:
        """Final frames since the newest finite activity of a held-out neuron.

        None if there was none in this session.
        """
        return self._evidence_age_frames

    def add_stimulus(self, encoder_frame: int, image: Array) -> None:
        """Store the stimulus (height, width) at an encoder frame."""
        self._stimuli[encoder_frame] = image
        while len(self._stimuli) > self._max_stimuli:
            self._stimuli.popitem(last=False)

    def add_hop(self, window: WindowEstimate) -> None:
        """Add the live movie after a hop."""
        for age in range(self._n_hops):
            evidence = self._select_evidence(window, age)
            for accumulators in self._live.values():
                if age in accumulators:
                    accumulators[age].add_hop(evidence)
        self._update_evidence_age(evidence)  # the last one: of frames now final
        still = replace(evidence, movie=self._mean_movie, movie_response=None)
        for accumulator in self._mean_frame.values():
            accumulator.add_hop(still)

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
            for baseline, accumulators in self._baselines().items():
                if metric.name in accumulators:
                    name = metric.baseline_name(baseline)
                    values[name] = accumulators[metric.name].value()
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
        return {age: metric.create(self._setup) for age in range(first, self._n_hops)}

    def _baselines(self) -> dict[Baseline, dict[str, MetricAccumulator]]:
        return {"null": self._null, "mean_frame": self._mean_frame}

    def _create_baseline(self, baseline: Baseline) -> dict[str, MetricAccumulator]:
        """Return an accumulator for each metric that has this baseline, by name."""
        return {
            metric.name: metric.create(self._setup)
            for metric in self._metrics
            if baseline in metric.baselines
        }

    def _select_evidence(self, window: WindowEstimate, age: int) -> HopEvidence:
        """Return the hop of frames that is `age` hops old; 0 is the newest."""
        stop = len(window.movie) - age * self._hop_frames
        frames = slice(stop - self._hop_frames, stop)
        oldest = window.encoder_frame + 1 - len(window.movie)
        is_final = age == self._n_hops - 1
        return HopEvidence(
            index=oldest + frames.start,
            movie=window.movie[frames],
            stimulus=[
                self._stimuli.get(oldest + position)
                for position in range(frames.start, frames.stop)
            ],
            predicted=window.predicted[frames, self._held_out],
            recorded=window.recorded[frames, self._held_out],
            movie_response=window.predicted[frames],
            stimulus_response=window.stimulus_response if is_final else None,
        )


def _drop_unknown(values: dict[_Key, float | None]) -> dict[_Key, float]:
    return {key: value for key, value in values.items() if value is not None}
