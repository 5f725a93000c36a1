"""Quality panel: the live quality metrics over time, and one word for them.

The word compares the correlation of the held-out neurons with its null level: what the
same inversion reaches by chance, when its neurons are exchanged. The curves are those
of `rtrecon.metrics.live_metrics`; a new metric in that table is drawn without a change
here. The word expires with its evidence: messages that arrive while the activity is
lost repeat an old window, and do not keep it alive.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.panels.panel import (
    Panel,
    add_band,
    add_line,
    format_legend,
    ignore_text_width,
    make_label,
    make_row,
    make_time_plot,
)
from rtrecon.display.playback import ENCODER_RATE_HZ
from rtrecon.display.state import PanelState
from rtrecon.metrics.live_metrics import (
    ACTIVITY_CORRELATION,
    LIVE_METRICS,
    MIN_FRAMES,
    LiveMetric,
    QualitySeries,
    quality_series,
)
from rtrecon.protocol.messages import PublishedMessage, Quality

QualityLabel = Literal["GOOD", "FAIR", "POOR", "NO DATA"]

DURATION_S = 120.0
MAX_SAMPLES = 4000  # bounds the history, whatever the rate of messages
MEDIAN_S = 10.0  # a value is the median over this time
NULL_S = 60.0  # the null level is taken over this time
NULL_PERCENTILE = 95.0
GOOD_MARGIN = 0.10  # in correlation, above the null level
MAX_EVIDENCE_AGE_S = 2.0
SERIES = quality_series()
Y_LIMITS = (
    min(metric.axis_limits[0] for metric in LIVE_METRICS),
    max(metric.axis_limits[1] for metric in LIVE_METRICS),
)

EXPLANATIONS: dict[QualityLabel, str] = {
    "GOOD": "predicts held-out neurons well above chance",
    "FAIR": "predicts held-out neurons just above chance",
    "POOR": "no better than chance: do not trust the movie",
    "NO DATA": "",  # the word leaves no room: the reason stands in place of the values
}
LABEL_COLORS: dict[QualityLabel, str] = {
    "GOOD": theme.GREEN,
    "FAIR": theme.AMBER,
    "POOR": theme.VERMILLION,
    "NO DATA": theme.MUTED,
}
_TOOL_TIP = (
    f"The word compares the correlation of the held-out neurons (median of "
    f"{MEDIAN_S:.0f} s) with its null level:\nthe {NULL_PERCENTILE:.0f}th percentile "
    f"of {NULL_S:.0f} s of the same correlation with the neurons exchanged.\n"
    f"GOOD: at least {GOOD_MARGIN:.2f} above the null level. FAIR: above it. POOR: not "
    f"above it.\nNO DATA: no new activity of held-out neurons for "
    f"{MAX_EVIDENCE_AGE_S:.0f} s, or no null level.\n"
    + "\n".join(f"{metric.label}: {metric.description}" for metric in LIVE_METRICS)
)


class QualitySample(NamedTuple):
    """The values of one quality message by series name; unknown values are absent.

    t_s: when it was received. evidence_age_s: how old its newest evidence was then, in
    s; None where there was none yet.
    """

    t_s: float
    values: Mapping[str, float]
    evidence_age_s: float | None = 0.0

    def value(self, name: str) -> float:
        """Return the value of a series, NaN if it is unknown."""
        return self.values.get(name, np.nan)


class QualityAssessment(NamedTuple):
    """The word and what it is derived from.

    medians: of the last seconds, by metric name; NaN where there is no value.
    """

    label: QualityLabel
    medians: Mapping[str, float]
    null_level: float


class QualityState(PanelState):
    """The history of the quality metrics."""

    message_types = (Quality,)

    def __init__(self) -> None:
        self.samples: deque[QualitySample] = deque(maxlen=MAX_SAMPLES)
        self.first_value_s: float | None = None  # when the first value is expected

    def update(self, message: PublishedMessage, payload: Array, now_s: float) -> bool:
        """Store the values of one message."""
        assert isinstance(message, Quality)
        if self.first_value_s is None:
            self.first_value_s = now_s + _time_to_first_value_s(message)
        self.samples.append(
            QualitySample(now_s, message.metrics, message.evidence_age_s)
        )
        return True

    def explain_no_data(self, now_s: float) -> str:
        """Return why there is no word for the quality now."""
        if self.first_value_s is None:
            return "no movie yet"
        evidence_age_s = get_evidence_age_s(self.samples, now_s)
        if evidence_age_s is not None and evidence_age_s > MAX_EVIDENCE_AGE_S:
            return f"no new evidence for {evidence_age_s:.0f} s"
        if now_s < self.first_value_s:
            return f"first value in {math.ceil(self.first_value_s - now_s)} s"
        if evidence_age_s is None:
            return "no activity of held-out neurons yet"
        return "no null level yet"


def get_evidence_age_s(samples: Sequence[QualitySample], now_s: float) -> float | None:
    """Return the age of the newest evidence at `now_s`; None if there is none."""
    if not samples or samples[-1].evidence_age_s is None:
        return None
    return now_s - samples[-1].t_s + samples[-1].evidence_age_s


def assess_quality(samples: Sequence[QualitySample], now_s: float) -> QualityAssessment:
    """Return the word for the last seconds of `samples`; see the tool tip's rule."""
    evidence_age_s = get_evidence_age_s(samples, now_s)
    if evidence_age_s is None or evidence_age_s > MAX_EVIDENCE_AGE_S:
        nothing = {metric.name: np.nan for metric in LIVE_METRICS}
        return QualityAssessment("NO DATA", nothing, np.nan)
    recent = [sample for sample in samples if sample.t_s >= now_s - MEDIAN_S]
    medians = {
        metric.name: _percentile([sample.value(metric.name) for sample in recent], 50)
        for metric in LIVE_METRICS
    }
    nulls = [
        sample.value(ACTIVITY_CORRELATION.null_name)
        for sample in samples
        if sample.t_s >= now_s - NULL_S
    ]
    null_level = _percentile(nulls, NULL_PERCENTILE)
    label = _choose_label(medians[ACTIVITY_CORRELATION.name] - null_level)
    return QualityAssessment(label, medians, null_level)


class QualityPanel(Panel[QualityState]):
    """The word, the newest values, and the curves of the last two minutes."""

    title = "Decoding quality"
    width_share = 365
    state_type = QualityState

    def __init__(self) -> None:
        super().__init__()
        self.note.show_text(f"last {DURATION_S / 60:.0f} min")
        self.setToolTip(_TOOL_TIP)
        self.word = make_label("NO DATA", "word")
        self._explanation = ignore_text_width(make_label("", "note"))
        self._explanation.setWordWrap(True)
        head = make_row(self.word, self._explanation)
        head.setStretch(1, 1)
        self.body.addLayout(head)
        self._legend = ignore_text_width(make_label(""))
        self._legend.setWordWrap(True)
        self.body.addWidget(self._legend)
        self._plot = make_time_plot(DURATION_S, Y_LIMITS)
        labels: tuple[QualityLabel, ...] = ("POOR", "FAIR", "GOOD")
        self._bands = [add_band(self._plot, LABEL_COLORS[label]) for label in labels]
        self._level_line = add_line(self._plot, theme.MUTED, 2, is_dashed=True)
        # What is added last is drawn on top: the judged metric, above all nulls.
        drawing_order = sorted(
            SERIES, key=lambda s: (not s.is_null, -s.metric.color_role)
        )
        self._lines = {series.name: self._add_line(series) for series in drawing_order}
        self.body.addWidget(self._plot, 1)

    def draw(self, state: QualityState, now_s: float) -> None:
        """Show the values so far, the newest at 0 s, and the word for them."""
        assessment = assess_quality(state.samples, now_s)
        self.word.setText(assessment.label)
        self.word.setStyleSheet(f"color: {LABEL_COLORS[assessment.label]}")
        self._explanation.setText(EXPLANATIONS[assessment.label])
        self._legend.setText(_describe_values(state, assessment, now_s))
        samples = list(state.samples)
        t_s = np.array([sample.t_s for sample in samples], np.float64)
        for name, line in self._lines.items():
            values = np.array([sample.value(name) for sample in samples], np.float64)
            line.setData(t_s - t_s[-1:], values, connect="finite")
        self._level_line.setData([-DURATION_S, 0], [assessment.null_level] * 2)
        self._draw_bands(assessment.null_level)

    def is_outdated(self, state: QualityState, now_s: float) -> bool:
        """Return whether time alone has changed the word, or the reason for NO DATA."""
        assessment = assess_quality(state.samples, now_s)
        if assessment.label != "NO DATA":
            return assessment.label != self.word.text()
        return _describe_values(state, assessment, now_s) != self._legend.text()

    def _add_line(self, series: QualitySeries) -> Any:
        if series.is_null:
            return add_line(self._plot, theme.FAINT, 1)
        is_judged = series.metric is ACTIVITY_CORRELATION
        color = _metric_color(series.metric)
        return add_line(self._plot, color, 4 if is_judged else 2)

    def _draw_bands(self, null_level: float) -> None:
        is_known = bool(np.isfinite(null_level))
        edges = [Y_LIMITS[0], null_level, null_level + GOOD_MARGIN, Y_LIMITS[1]]
        for band, low, high in zip(self._bands, edges, edges[1:], strict=False):
            band.setVisible(is_known)
            if is_known:
                band.setRegion((low, high))


def _describe_values(
    state: QualityState, assessment: QualityAssessment, now_s: float
) -> str:
    """Return the newest values, or why there is no word for them."""
    if assessment.label == "NO DATA":
        return state.explain_no_data(now_s)
    return _format_legend(assessment)


def _time_to_first_value_s(first: Quality) -> float:
    """Return after which time (s) the first metric is due; first: first message.

    A metric needs `MIN_FRAMES` frames that are final, and frames become final when they
    leave the window. The window is full already if the session runs for longer.
    """
    elapsed_s = min((first.encoder_frame + 1) / ENCODER_RATE_HZ, first.lag_s)
    return MIN_FRAMES / ENCODER_RATE_HZ + first.lag_s - elapsed_s


def _format_legend(assessment: QualityAssessment) -> str:
    entries = [
        format_legend(
            _metric_color(metric),
            "━",
            metric.label,
            assessment.medians[metric.name],
            f"{{:.2f}} {metric.unit}".rstrip(),
        )
        for metric in LIVE_METRICS
    ]
    entries.append(format_legend(theme.MUTED, "┅", "chance", assessment.null_level))
    # A line may break between two entries, but not inside one.
    return " &nbsp; ".join(
        f'<span style="white-space:nowrap">{entry}</span>' for entry in entries
    )


def _metric_color(metric: LiveMetric) -> str:
    return theme.METRIC_COLORS[metric.color_role % len(theme.METRIC_COLORS)]


def _choose_label(margin: float) -> QualityLabel:
    """Return the word for a margin above the null level."""
    if np.isnan(margin):
        return "NO DATA"
    if margin >= GOOD_MARGIN:
        return "GOOD"
    return "FAIR" if margin > 0 else "POOR"


def _percentile(values: Sequence[float], q: float) -> float:
    """Return the percentile of the known values; NaN if none is known."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.percentile(known, q)) if known else np.nan
