"""The table of live quality metrics: one entry per metric, everything else follows.

To add a metric, add one `LiveMetric` to `LIVE_METRICS`. No other file changes:

- the inverter computes it at every hop, for the movie and for its baselines
  (`inversion.live.quality`);
- `Quality.metrics` carries its value by name on the wire, and the recorder saves it;
- the session report lists it, and if it `is_displayed`, the display, the report and the
  summary draw it;
- `rtrecon evaluate` computes it for every clip;
- the NWB export writes it as a time series, the LSL outlet as a channel;
- rules read it as `quality.<name>`.

Programs that show or save metrics loop over `quality_series()`. Each `QualitySeries` is
one curve: the metric of the movie or of a baseline, with the name in `Quality.metrics`,
a label, a description, a unit, the metric's `color_role` (an index into the program's
own list of colours, so that this module needs no graphics library) and `axis_limits`.

Two baselines show what a value is worth. The null is a second inversion that gets the
same activity with the neurons exchanged: what it reaches is to be expected by chance.
The mean frame is a still movie, the mean of the movies that the encoder was trained on:
what it reaches needs no activity at all. See docs/algorithms/quality.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rtrecon.metrics.evidence import MetricAccumulator, MetricSetup
from rtrecon.metrics.frequency_bands import (
    SPATIAL_BANDS,
    TEMPORAL_BANDS,
    Band,
    SpatialBandCorrelation,
    TemporalBandCorrelation,
)
from rtrecon.metrics.gabor_similarity import GaborSimilarity
from rtrecon.metrics.held_out_correlation import HeldOutCorrelation
from rtrecon.metrics.identification import (
    IdentificationScore,
    PairwiseIdentificationScore,
)
from rtrecon.metrics.pixel_correlation import (
    MotionCorrelation,
    ScreenCorrelation,
    VisualFieldCorrelation,
)
from rtrecon.metrics.response_correlation import ResponseCorrelation
from rtrecon.metrics.stimulus_metric import (
    create_frame_metric,
    create_stimulus_metric,
)
from rtrecon.metrics.structural_similarity import StructuralSimilarity

Baseline = Literal["null", "mean_frame"]

_BASELINE_LABELS: dict[Baseline, tuple[str, str]] = {  # of a curve, of a description
    "null": ("null", "neurons exchanged (null)"),
    "mean_frame": ("mean frame", "of the training movies' mean frame, a still movie"),
}


@dataclass(frozen=True)
class LiveMetric:
    """One live quality metric: what it is, how it is computed, how it is drawn.

    name: in messages, files and rules; lower case with underscores. label: two or three
    words for a legend. description: one sentence. create: makes the accumulator. unit:
    "" for a pure number. value_range: smallest and largest possible value. axis_limits:
    of a plot. color_role: 0, 1, 2, … chooses one of the colours of a program.
    baselines: whose value is published too, as `<baseline>_<name>`. by_lag: whether
    frames of every age in the window are measured, and not only frames that have just
    become final. is_displayed: whether display and summary show it; the others are for
    the recording and what reads it. needs_stimulus: whether it compares with the
    stimulus. needs_picture: whether it is measured for pictures only.
    """

    name: str
    label: str
    description: str
    create: Callable[[MetricSetup], MetricAccumulator]
    color_role: int
    unit: str = ""
    value_range: tuple[float, float] = (-1.0, 1.0)
    axis_limits: tuple[float, float] = (-0.15, 1.05)
    baselines: tuple[Baseline, ...] = ("null",)
    by_lag: bool = False
    is_displayed: bool = False
    needs_stimulus: bool = True
    needs_picture: bool = False

    def baseline_name(self, baseline: Baseline) -> str:
        """Name under which the value of a baseline is published."""
        return f"{baseline}_{self.name}"

    @property
    def null_name(self) -> str:
        """Name under which the value of the null is published."""
        return self.baseline_name("null")


_STILL: tuple[Baseline, ...] = ("null", "mean_frame")  # a still movie has a value

ACTIVITY_CORRELATION = LiveMetric(
    name="activity_correlation",
    label="held-out neurons",
    description=(
        "correlation of the recorded activity of held-out neurons with the activity "
        "that the movie predicts, mean over neurons, last 20 s"
    ),
    create=HeldOutCorrelation,
    color_role=0,
    is_displayed=True,
    needs_stimulus=False,
)
VISUAL_FIELD_CORRELATION = LiveMetric(
    name="visual_field_correlation",
    label="pixels, visual field",
    description=(
        "correlation of the movie's pixels with the stimulus where the neurons look, "
        "last 20 s of frames whose stimulus is known"
    ),
    create=create_stimulus_metric(VisualFieldCorrelation),
    color_role=1,
    baselines=_STILL,
    by_lag=True,
    is_displayed=True,
)
PIXEL_CORRELATION = LiveMetric(
    name="pixel_correlation",
    label="pixels, whole screen",
    description=(
        "correlation of the movie's pixels with the stimulus on the whole screen, last "
        "20 s of frames whose stimulus is known"
    ),
    create=create_stimulus_metric(ScreenCorrelation),
    color_role=2,
    baselines=_STILL,
    by_lag=True,
)
IDENTIFICATION = LiveMetric(
    name="identification",
    label="identified, 1 of 20",
    description=(
        "share of the last 20 segments of 1 s that correlate more with their own "
        "stimulus than with the other 19; chance 0.05"
    ),
    create=create_stimulus_metric(IdentificationScore),
    color_role=3,
    value_range=(0.0, 1.0),
)
PAIRWISE_IDENTIFICATION = LiveMetric(
    name="pairwise_identification",
    label="identified, 1 of 2",
    description=(
        "share of pairs of the last 20 segments of 1 s in which a segment correlates "
        "more with its own stimulus than with the other; chance 0.5"
    ),
    create=create_stimulus_metric(PairwiseIdentificationScore),
    color_role=3,
    value_range=(0.0, 1.0),
)
STRUCTURAL_SIMILARITY = LiveMetric(
    name="structural_similarity",
    label="structural similarity",
    description=(
        "structural similarity (SSIM) of movie and stimulus where the neurons look, "
        "mean over the frames of the last 20 s"
    ),
    create=create_frame_metric(StructuralSimilarity),
    color_role=4,
    baselines=_STILL,
    needs_picture=True,
)
GABOR_CORRELATION = LiveMetric(
    name="gabor_correlation",
    label="Gabor energy",
    description=(
        "correlation of what a pyramid of Gabor energy filters answers to movie and "
        "stimulus where the neurons look, mean over the frames of the last 20 s"
    ),
    create=create_frame_metric(GaborSimilarity),
    color_role=4,
    baselines=_STILL,
    needs_picture=True,
)
MOTION_CORRELATION = LiveMetric(
    name="motion_correlation",
    label="motion",
    description=(
        "correlation of the differences between neighbouring frames of movie and "
        "stimulus where the neurons look, last 20 s"
    ),
    create=create_stimulus_metric(MotionCorrelation),
    color_role=1,
)
RESPONSE_CORRELATION = LiveMetric(
    name="response_correlation",
    label="encoder's answers",
    description=(
        "correlation over neurons and frames of the activity that the encoder predicts "
        "for movie and stimulus, last 20 s; compact encoders only"
    ),
    create=ResponseCorrelation,
    color_role=0,
)


def _make_spatial_metric(name: str, band: Band) -> LiveMetric:
    low, high = band
    return LiveMetric(
        name=f"{name}_spatial_correlation",
        label=f"{name} spatial frequencies",
        description=(
            f"correlation of movie and stimulus where the neurons look, spatial "
            f"frequencies from {low:g} to {high:g} cycles per px, last 20 s"
        ),
        create=create_frame_metric(partial(SpatialBandCorrelation, band=band)),
        color_role=2,
        baselines=_STILL,
        needs_picture=True,
    )


def _make_temporal_metric(name: str, band: Band) -> LiveMetric:
    low, high = band
    limits = f"from {low:g} Hz on" if math.isinf(high) else f"{low:g} to {high:g} Hz"
    return LiveMetric(
        name=f"{name}_temporal_correlation",
        label=f"{name} temporal frequencies",
        description=(
            f"correlation of movie and stimulus where the neurons look, temporal "
            f"frequencies {limits}, last 20 s in segments of 2 s"
        ),
        create=create_stimulus_metric(partial(TemporalBandCorrelation, band=band)),
        color_role=3,
        baselines=("null",) if low else _STILL,
    )


LIVE_METRICS = (
    ACTIVITY_CORRELATION,
    VISUAL_FIELD_CORRELATION,
    PIXEL_CORRELATION,
    IDENTIFICATION,
    PAIRWISE_IDENTIFICATION,
    STRUCTURAL_SIMILARITY,
    GABOR_CORRELATION,
    *(_make_spatial_metric(*item) for item in SPATIAL_BANDS.items()),
    *(_make_temporal_metric(*item) for item in TEMPORAL_BANDS.items()),
    MOTION_CORRELATION,
    RESPONSE_CORRELATION,
)
DISPLAYED_METRICS = tuple(metric for metric in LIVE_METRICS if metric.is_displayed)


@dataclass(frozen=True)
class QualitySeries:
    """One curve of live quality: a metric of the movie, or the same of a baseline.

    name: its key in `Quality.metrics`. baseline: None for the movie itself.
    """

    name: str
    label: str
    description: str
    metric: LiveMetric
    baseline: Baseline | None = None


def quality_series(
    metrics: Sequence[LiveMetric] = LIVE_METRICS,
) -> tuple[QualitySeries, ...]:
    """Return every published series in the order of the table, baselines after each."""
    return tuple(series for metric in metrics for series in _iterate_series(metric))


def _iterate_series(metric: LiveMetric) -> Iterator[QualitySeries]:
    yield QualitySeries(metric.name, metric.label, metric.description, metric)
    for baseline in metric.baselines:
        label, description = _BASELINE_LABELS[baseline]
        yield QualitySeries(
            metric.baseline_name(baseline),
            f"{metric.label}, {label}",
            f"{metric.description}; {description}",
            metric,
            baseline,
        )


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
