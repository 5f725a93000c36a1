"""The table of live quality metrics: one entry per metric, everything else follows.

To add a metric, add one `LiveMetric` to `LIVE_METRICS`. No other file changes:

- the inverter computes it at every hop, for the movie and for the null
  (`inversion.live.quality`);
- `Quality.metrics` carries its value by name on the wire, and the recorder saves it;
- the display, the session report and the summary draw and list it;
- the NWB export writes it as a time series, the LSL outlet as a channel;
- rules read it as `quality.<name>`.

Programs that show or save metrics loop over `quality_series()`. Each `QualitySeries` is
one curve: the metric itself or its null, with the name in `Quality.metrics`, a label,
a description, a unit, the metric's `color_role` (an index into the program's own list
of colours, so that this module needs no graphics library) and `axis_limits`. Draw a
series with `is_null` in the colour of its metric, dotted or faint.

The null is a second inversion that gets the same activity with the neurons exchanged.
What it reaches is the value to expect by chance; see docs/algorithms/quality.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.running_correlation import (
    RunningNeuronCorrelation,
    RunningVideoCorrelation,
)
from rtrecon.metrics.similarity import mean_of_defined

WINDOW_FRAMES = 600  # a metric describes these newest frames: 20 s at 30 Hz
MIN_FRAMES = 90  # with fewer frames a metric has no value yet
MAX_EVIDENCE_AGE_FRAMES = 60  # a metric has no value 2 s after its newest evidence


@dataclass(frozen=True)
class HopEvidence:
    """One hop of h frames of one age, oldest first, and what to compare them with.

    movie: (h, 36, 64) gray levels 0..255. stimulus: for each frame the image (36, 64)
    that was on the screen, None where it is not known. predicted: (h, n) activity of
    the n held-out neurons that the movie would cause. recorded: (h, n) their recorded
    activity, NaN where it was lost.
    """

    movie: Array
    stimulus: Sequence[Array | None]
    predicted: Array
    recorded: Array


class MetricAccumulator(Protocol):
    """Computes one metric from a stream of hops."""

    def add_hop(self, evidence: HopEvidence) -> None:
        """Add the frames of one hop."""
        ...

    def value(self) -> float | None:
        """Return the metric over the newest frames, None if it is not known.

        A value that no new evidence supports any more is not known either.
        """
        ...


@dataclass(frozen=True)
class LiveMetric:
    """One live quality metric: what it is, how it is computed, how it is drawn.

    name: in messages, files and rules; lower case with underscores. label: two or three
    words for a legend. description: one sentence. create: makes the accumulator, given
    the number of held-out neurons. unit: "" for a pure number. value_range: smallest
    and largest possible value. axis_limits: of a plot. color_role: 0, 1, 2, … chooses
    one of the colours of a program. has_null: whether the null's value is published
    too, as `null_<name>`. by_lag: whether frames of every age in the window are
    measured, and not only frames that have just become final.
    """

    name: str
    label: str
    description: str
    create: Callable[[int], MetricAccumulator]
    color_role: int
    unit: str = ""
    value_range: tuple[float, float] = (-1.0, 1.0)
    axis_limits: tuple[float, float] = (-0.15, 1.05)
    has_null: bool = True
    by_lag: bool = False

    @property
    def null_name(self) -> str:
        """Name under which the value of the null is published."""
        return f"null_{self.name}"


class HeldOutCorrelation:
    """Mean over held-out neurons of r between predicted and recorded activity.

    A neuron counts with at least `MIN_FRAMES` finite values in the window, the newest
    of them at most `MAX_EVIDENCE_AGE_FRAMES` old. Neurons that are not in the image
    today are NaN throughout: the others count without them.
    """

    def __init__(self, n_held_out: int) -> None:
        self._running = RunningNeuronCorrelation(n_held_out, WINDOW_FRAMES)
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
        has_evidence = self._running.count_samples() >= MIN_FRAMES
        has_evidence &= self._age_frames <= MAX_EVIDENCE_AGE_FRAMES
        r = mean_of_defined(self._running.per_neuron()[has_evidence])
        return None if np.isnan(r) else float(r)


class StimulusCorrelation:
    """r over all pixels between movie and stimulus, where the stimulus is known."""

    def __init__(self, _n_held_out: int = 0) -> None:
        self._running = RunningVideoCorrelation(WINDOW_FRAMES)
        self._age_frames = 0  # of the newest frame with a stimulus

    def add_hop(self, evidence: HopEvidence) -> None:
        """Add the frames of one hop whose stimulus is known."""
        for stimulus, made in zip(evidence.stimulus, evidence.movie, strict=True):
            self._age_frames += 1
            if stimulus is not None:
                self._running.add_frame(stimulus, made)
                self._age_frames = 0

    def value(self) -> float | None:
        """Return r; None before `MIN_FRAMES` frames, or if one movie is constant.

        None also where the newest frame with a stimulus is more than
        `MAX_EVIDENCE_AGE_FRAMES` old.
        """
        if self._running.count < MIN_FRAMES:
            return None
        if self._age_frames > MAX_EVIDENCE_AGE_FRAMES:
            return None
        return self._running.correlation()


ACTIVITY_CORRELATION = LiveMetric(
    name="activity_correlation",
    label="held-out neurons",
    description=(
        "correlation of the recorded activity of held-out neurons with the activity "
        "that the movie predicts, mean over neurons, last 20 s"
    ),
    create=HeldOutCorrelation,
    color_role=0,
)
PIXEL_CORRELATION = LiveMetric(
    name="pixel_correlation",
    label="pixels",
    description=(
        "correlation of the movie's pixels with the stimulus, last 20 s of frames "
        "whose stimulus is known"
    ),
    create=StimulusCorrelation,
    color_role=1,
    by_lag=True,
)
LIVE_METRICS = (ACTIVITY_CORRELATION, PIXEL_CORRELATION)


@dataclass(frozen=True)
class QualitySeries:
    """One curve of live quality: a metric of the movie, or the same of the null.

    name: its key in `Quality.metrics`.
    """

    name: str
    label: str
    description: str
    metric: LiveMetric
    is_null: bool = False


def quality_series(
    metrics: Sequence[LiveMetric] = LIVE_METRICS,
) -> tuple[QualitySeries, ...]:
    """Return every published series in the order of the table, nulls after metrics."""
    series = list[QualitySeries]()
    for metric in metrics:
        own = QualitySeries(metric.name, metric.label, metric.description, metric)
        series.append(own)
        if metric.has_null:
            null = replace(
                own,
                name=metric.null_name,
                label=f"{metric.label}, null",
                description=f"{metric.description}; neurons exchanged (null)",
                is_null=True,
            )
            series.append(null)
    return tuple(series)


def quality_field(name: str, rest: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the path in `Quality` of what a rule calls `quality.<name>`.

    A series `<name>` is in `metrics`. `<name>_by_lag` of a metric that is measured by
    lag is in `metrics_by_lag`; `rest` then begins with the lag in s. Any other name is
    a field of the message itself and stays as it is.
    """
    if any(series.name == name for series in quality_series()):
        return "metrics", name, *rest
    for metric in LIVE_METRICS:
        if metric.by_lag and name == f"{metric.name}_by_lag":
            return "metrics_by_lag", metric.name, *rest
    return name, *rest


def quality_field_names() -> list[str]:
    """Return the names that `quality_field` translates."""
    names = [series.name for series in quality_series()]
    return names + [f"{metric.name}_by_lag" for metric in LIVE_METRICS if metric.by_lag]
