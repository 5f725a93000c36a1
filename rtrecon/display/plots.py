"""Plots of the last seconds, newest on the right; they only show: no menu, no mouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont

from rtrecon.display import theme

MARGIN_PX = 18  # beside the plots, for half of an outermost label
_OVERHANG_PX = 30


def plot(past_s: float, y: tuple[float, float]) -> Any:
    """Return a plot of the last `past_s` seconds."""
    made = pg.PlotWidget(background=theme.PANEL)
    made.setMenuEnabled(False)
    made.setMouseEnabled(False, False)
    made.hideButtons()
    made.setRange(xRange=(-past_s, 0), yRange=y, padding=0, disableAutoRange=True)
    made.getPlotItem().setContentsMargins(0, 8, MARGIN_PX, 0)
    made.setMinimumSize(80, 60)
    font = QFont()
    font.setPixelSize(theme.AXIS_PX)
    for side in ("left", "bottom"):
        axis = made.getAxis(side)
        # The outermost labels reach past the axis, where they would be left out.
        axis.setStyle(
            tickFont=font, tickTextOffset=4, hideOverlappingLabels=_OVERHANG_PX
        )
        axis.setPen(theme.RULE)
        axis.setTextPen(theme.MUTED)
    past = [(-past_s, f"-{past_s:.0f} s"), (-past_s / 2, f"-{past_s / 2:.0f} s")]
    made.getAxis("bottom").setTicks([[*past, (0, "now")]])
    return made


def line(on: Any, color: str, width: int, dashed: bool = False) -> Any:
    """Add a line to a plot and return it."""
    style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
    return on.plot(pen=pg.mkPen(color, width=width, style=style))


def zone(on: Any, color: str) -> Any:
    """Add a faint band to a plot, over all its time, and return it."""
    tint = QColor(color)
    tint.setAlpha(34)
    band = pg.LinearRegionItem(
        orientation="horizontal", movable=False, brush=tint, pen=pg.mkPen(None)
    )
    band.setZValue(-10)
    on.addItem(band)
    return band


def key(color: str, sign: str, name: str, value: float, form: str = "{:.2f}") -> str:
    """Return a legend entry with the newest value, as rich text."""
    text = form.format(value) if np.isfinite(value) else "–"
    return f'<span style="color:{color}">{sign}</span> {name} <b>{text}</b>'
