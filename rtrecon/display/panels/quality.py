"""Quality panel: the live quality metrics over time, and one word for them.

`panel_states.quality` chooses the word. The curves are those of
`rtrecon.metrics.live_metrics` that are to be displayed; such a metric is drawn without
a change here. Beside the correlation with the stimulus is that of a still movie, the
mean of the training movies: what is not above it shows little.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.display import theme
from rtrecon.display.panel_states.quality import (
    GOOD_MARGIN,
    MAX_EVIDENCE_AGE_S,
    MEDIAN_S,
    NULL_PERCENTILE,
    NULL_S,
    SERIES,
    QualityAssessment,
    QualityLabel,
    QualityState,
    assess_quality,
)
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
from rtrecon.display.space_words import (
    describe_metric,
    label_metric,
    name_reconstruction,
)
from rtrecon.metrics.live_metrics import (
    ACTIVITY_CORRELATION,
    DISPLAYED_METRICS,
    LiveMetric,
    QualitySeries,
)
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO

DURATION_S = 120.0
Y_LIMITS = (
    min(metric.axis_limits[0] for metric in DISPLAYED_METRICS),
    max(metric.axis_limits[1] for metric in DISPLAYED_METRICS),
)

EXPLANATIONS: dict[QualityLabel, str] = {
    "GOOD": "predicts held-out neurons well above chance",
    "FAIR": "predicts held-out neurons just above chance",
    "POOR": "no better than chance: do not trust the {movie}",
    "NO DATA": "",  # the word leaves no room: the reason stands in place of the values
}
LABEL_COLORS: dict[QualityLabel, str] = {
    "GOOD": theme.GREEN,
    "FAIR": theme.AMBER,
    "POOR": theme.VERMILLION,
    "NO DATA": theme.MUTED,
}
_TOOL_TIP_HEAD = (
    f"The word compares the correlation of the held-out neurons (median of "
    f"{MEDIAN_S:.0f} s) with its null level:\nthe {NULL_PERCENTILE:.0f}th percentile "
    f"of {NULL_S:.0f} s of the same correlation with the neurons exchanged.\n"
    f"GOOD: at least {GOOD_MARGIN:.2f} above the null level. FAIR: above it. POOR: not "
    f"above it.\nNO DATA: no new activity of held-out neurons for "
    f"{MAX_EVIDENCE_AGE_S:.0f} s, or no null level.\n"
)
_TOOL_TIP_TAIL = (
    "mean frame: the same of a still {movie}, the mean of what the encoder was trained "
    "on; a {movie} that is not above it shows little."
)


class QualityPanel(Panel[QualityState]):
    """The word, the newest values, and the curves of the last two minutes."""

    title = "Decoding quality"
    width_share = 365
    state_type = QualityState

    def __init__(self) -> None:
        super().__init__()
        self.note.show_text(f"last {DURATION_S / 60:.0f} min")
        self._space = VIDEO
        self.setToolTip(_make_tool_tip(VIDEO))
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
        # What is added last is drawn on top: the judged metric, above all baselines.
        drawing_order = sorted(
            SERIES, key=lambda s: (s.baseline is None, -s.metric.color_role)
        )
        self._lines = {series.name: self._add_line(series) for series in drawing_order}
        self.body.addWidget(self._plot, 1)

    def draw(self, state: QualityState, now_s: float) -> None:
        """Show the values so far, the newest at 0 s, and the word for them."""
        if state.space != self._space:
            self._space = state.space
            self.setToolTip(_make_tool_tip(state.space))
        assessment = assess_quality(state.samples, now_s)
        is_without = state.is_without_encoder and assessment.label == "NO DATA"
        self.word.setText("NO MOVIE" if is_without else assessment.label)
        self.word.setStyleSheet(f"color: {LABEL_COLORS[assessment.label]}")
        explanation = EXPLANATIONS[assessment.label]
        movie = name_reconstruction(state.space)
        self._explanation.setText(explanation.format(movie=movie))
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
        if series.baseline == "null":
            return add_line(self._plot, theme.FAINT, 1)
        if series.baseline == "mean_frame":
            return add_line(self._plot, _metric_color(series.metric), 1, is_dashed=True)
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
    return _format_legend(assessment, state.space)


def _make_tool_tip(space: StimulusSpace) -> str:
    metrics = "\n".join(
        f"{label_metric(metric, space)}: {describe_metric(metric, space)}"
        for metric in DISPLAYED_METRICS
        if space.is_picture or not metric.needs_picture
    )
    tail = _TOOL_TIP_TAIL.format(movie=name_reconstruction(space))
    return f"{_TOOL_TIP_HEAD}{metrics}\n{tail}"


def _format_legend(assessment: QualityAssessment, space: StimulusSpace) -> str:
    entries = [
        format_legend(
            _metric_color(series.metric),
            "━" if series.baseline is None else "┅",
            "mean frame" if series.baseline else label_metric(series.metric, space),
            assessment.medians[series.name],
            f"{{:.2f}} {series.metric.unit}".rstrip(),
        )
        for series in SERIES
        if series.baseline != "null"
    ]
    entries.append(format_legend(theme.MUTED, "┅", "chance", assessment.null_level))
    # A line may break between two entries, but not inside one.
    return " &nbsp; ".join(
        f'<span style="white-space:nowrap">{entry}</span>' for entry in entries
    )


def _metric_color(metric: LiveMetric) -> str:
    return theme.METRIC_COLORS[metric.color_role % len(theme.METRIC_COLORS)]
