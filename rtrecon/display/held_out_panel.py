"""Predicted against observed activity of neurons that the movie was not made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QFont
from scipy.ndimage import gaussian_filter1d

from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.held_out import COLUMNS, RANKS, Trace
from rtrecon.display.panels import Panel, label
from rtrecon.display.playback import RATE_HZ
from rtrecon.display.plots import MARGIN_PX, line, plot

SHOWN_S = COLUMNS / RATE_HZ
_SMOOTH_S = 0.2
_PITCH = 1.5  # of a row, in units of what a trace spans: room for its name above
_HINT = (
    "Neurons that were kept out of the reconstruction: what they did, and what the\n"
    f"movie says they should have done, smoothed by {_SMOOTH_S:g} s. Each trace is\n"
    "scaled to its own range; r is over the time shown, before smoothing.\n"
    "Of those published: the best, and those at three, two and one quarter by r."
)


class HeldOutPanel(Panel):
    """A neuron per row: observed as an area, predicted as a line, and their r."""

    def __init__(self) -> None:
        super().__init__("Held-out neurons")
        self.setToolTip(_HINT)
        self.body.addWidget(
            label(
                f'<span style="color:{theme.MUTED}">▇</span> observed &nbsp; '
                f'<span style="color:{theme.SKY}">━</span> predicted by the movie'
            )
        )
        self._plot = plot(SHOWN_S, (0, _PITCH * len(RANKS)))
        self._plot.hideAxis("left")
        ends = [(-SHOWN_S, f"-{SHOWN_S:.0f} s"), (0, "last judged")]
        self._plot.getAxis("bottom").setTicks([ends])
        self._plot.getPlotItem().setContentsMargins(MARGIN_PX, 0, MARGIN_PX, 0)
        self._rows = [self._row(i) for i in range(len(RANKS))]
        self.body.addWidget(self._plot, 1)

    def draw(self, traces: Sequence[Trace]) -> None:
        """Show the traces, one per rank; an empty list leaves the rows empty."""
        self.note.setText("" if traces else "none yet")
        for i, (observed, predicted, name) in enumerate(self._rows):
            trace = traces[i] if traces else None
            at_s = np.arange(1 - COLUMNS, 1) / RATE_HZ
            base = _PITCH * (len(RANKS) - 1 - i)
            nothing: Array = np.full(COLUMNS, np.nan)
            for shown, values in (
                (observed, nothing if trace is None else _within(trace.observed)),
                (predicted, nothing if trace is None else _within(trace.predicted)),
            ):
                shown.setData(at_s, base + values, connect="finite")
            name.setVisible(trace is not None)
            if trace is not None:
                name.setText(f"neuron {trace.neuron}   r {trace.r:.2f}")

    def _row(self, i: int) -> tuple[Any, Any, Any]:
        base = _PITCH * (len(RANKS) - 1 - i)
        observed = line(self._plot, theme.FAINT, 1)
        observed.setFillLevel(base)
        observed.setBrush(theme.FAINT)
        predicted = line(self._plot, theme.SKY, 2)
        name = pg.TextItem(anchor=(0, 0), color=theme.TEXT)
        font = QFont()
        font.setPixelSize(theme.AXIS_PX)
        name.setFont(font)
        name.setPos(-SHOWN_S, base + _PITCH)
        self._plot.addItem(name)
        return observed, predicted, name


def _within(trace: Array) -> Array:
    """Return the trace smoothed and scaled to 0..1 over the time shown."""
    known = np.isfinite(trace)
    smooth = gaussian_filter1d(np.where(known, trace, 0.0), _SMOOTH_S * RATE_HZ)
    low, high = smooth[known].min(), smooth[known].max()
    scaled = (smooth - low) / max(high - low, 1e-9)
    return np.where(known, scaled, np.nan)
