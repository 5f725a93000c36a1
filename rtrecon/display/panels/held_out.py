"""Held-out panel: activity predicted from the movie against recorded activity.

The inversion does not use the held-out neurons. The movie predicts their activity, and
the panel shows the prediction beside the activity that was recorded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QFont
from scipy.ndimage import gaussian_filter1d

from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.panel_states.held_out import N_COLUMNS, RANKS, HeldOutState
from rtrecon.display.panels.panel import (
    PLOT_MARGIN_PX,
    Panel,
    add_line,
    make_label,
    make_time_plot,
    set_time_span,
)
from rtrecon.display.playback import ENCODER_RATE_HZ
from rtrecon.display.space_words import name_reconstruction
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO

DURATION_S = N_COLUMNS / ENCODER_RATE_HZ
_SMOOTHING_S = 0.2
_ROW_PITCH = 1.5  # a trace spans 1; the rest is for its name
_TOOL_TIP = (
    "Neurons that the reconstruction does not use: their recorded activity, and the "
    "activity that the reconstruction\npredicts, both smoothed by "
    f"{_SMOOTHING_S:g} s and scaled to their own range. r: correlation of the two "
    f"over\nthe time shown, before smoothing. From top to bottom: the neuron with "
    "the highest r, and the neurons at\nthree, two and one quarter of the ranking. "
    "0 s: the newest frame with a prediction."
)


class HeldOutPanel(Panel[HeldOutState]):
    """One neuron per row: recorded as an area, predicted as a line, and their r."""

    title = "Held-out neurons"
    width_share = 310
    state_type = HeldOutState

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(_TOOL_TIP)
        self._legend = make_label(_make_legend(VIDEO))
        self.body.addWidget(self._legend)
        self._duration_s = DURATION_S
        self._plot = make_time_plot(DURATION_S, (0, _ROW_PITCH * len(RANKS)))
        self._plot.hideAxis("left")
        ends = [(-DURATION_S, f"-{DURATION_S:.0f} s"), (0, "0 s")]
        self._plot.getAxis("bottom").setTicks([ends])
        self._plot.getPlotItem().setContentsMargins(
            PLOT_MARGIN_PX, 0, PLOT_MARGIN_PX, 0
        )
        self._rows = [self._add_row(row) for row in range(len(RANKS))]
        self.body.addWidget(self._plot, 1)

    def draw(self, state: HeldOutState, now_s: float) -> None:
        """Show one neuron per rank, or empty rows if there are no traces yet."""
        traces = [] if state.traces is None else state.traces.ranked_traces()
        self.note.show_text("" if traces else "none yet")
        self._legend.setText(_make_legend(state.space))
        if N_COLUMNS / state.rate_hz != self._duration_s:
            self._set_duration(N_COLUMNS / state.rate_hz)
        t_s = np.arange(1 - N_COLUMNS, 1) / state.rate_hz
        empty: Array = np.full(N_COLUMNS, np.nan)
        for row, (recorded_line, predicted_line, name) in enumerate(self._rows):
            trace = traces[row] if traces else None
            recorded = predicted = empty
            if trace is not None:
                recorded = _scale_trace(trace.recorded, state.rate_hz)
                predicted = _scale_trace(trace.predicted, state.rate_hz)
            base = _row_base(row)
            recorded_line.setData(t_s, base + recorded, connect="finite")
            predicted_line.setData(t_s, base + predicted, connect="finite")
            name.setVisible(trace is not None)
            if trace is not None:
                name.setText(f"neuron {trace.neuron}   r = {trace.r:.2f}")

    def _set_duration(self, duration_s: float) -> None:
        """Show so many seconds, as many as there are columns."""
        self._duration_s = duration_s
        set_time_span(self._plot, duration_s)
        ends = [(-duration_s, f"-{duration_s:.0f} s"), (0, "0 s")]
        self._plot.getAxis("bottom").setTicks([ends])
        for row, (_, _, name) in enumerate(self._rows):
            name.setPos(-duration_s, _row_base(row) + _ROW_PITCH)

    def _add_row(self, row: int) -> tuple[Any, Any, Any]:
        recorded = add_line(self._plot, theme.FAINT, 1)
        recorded.setFillLevel(_row_base(row))
        recorded.setBrush(theme.FAINT)
        predicted = add_line(self._plot, theme.SKY, 2)
        name = pg.TextItem(anchor=(0, 0), color=theme.TEXT)
        font = QFont()
        font.setPixelSize(theme.AXIS_PX)
        name.setFont(font)
        name.setPos(-DURATION_S, _row_base(row) + _ROW_PITCH)
        self._plot.addItem(name)
        return recorded, predicted, name


def _make_legend(space: StimulusSpace) -> str:
    return (
        f'<span style="color:{theme.MUTED}">▇</span> recorded &nbsp; '
        f'<span style="color:{theme.SKY}">━</span> '
        f"predicted from {name_reconstruction(space)}"
    )


def _row_base(row: int) -> float:
    """Return the y of a row's baseline; row 0 is at the top."""
    return _ROW_PITCH * (len(RANKS) - 1 - row)


def _scale_trace(trace: Array, rate_hz: float) -> Array:
    """Return the trace smoothed and scaled to 0..1."""
    is_known = np.isfinite(trace)
    filled = np.where(is_known, trace, 0.0)
    smooth = gaussian_filter1d(filled, _SMOOTHING_S * rate_hz)
    low, high = smooth[is_known].min(), smooth[is_known].max()
    scaled = (smooth - low) / max(high - low, 1e-9)
    return np.where(is_known, scaled, np.nan)
