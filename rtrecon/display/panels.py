"""The parts of the window: each shows one thing and knows nothing of the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QVBoxLayout,
    QWidget,
)

from rtrecon.display import theme
from rtrecon.display.health import Figure
from rtrecon.display.picture import Picture
from rtrecon.display.playback import RATE_HZ
from rtrecon.display.raster import COLUMNS, Raster
from rtrecon.display.state import MOTION_S, QUALITY_S, Shift
from rtrecon.display.verdict import RULE, Judged, Verdict
from rtrecon.wire import Array, Field

RASTER_S = COLUMNS / RATE_HZ
_MARGIN_PX = 18  # beside the plots, for half of an outermost label
_OVERHANG_PX = 30
_LEAST_MOTION_PX = 5.5  # so that a still brain draws a flat line, not magnified noise


class Panel(QFrame):
    """A titled box; `note` is a word or two on what it shows just now."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.note = label("", "note")
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(10, 6, 10, 8)
        self.body.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(label(title, "title"))
        head.addWidget(self.note, 1, Qt.AlignmentFlag.AlignBottom)
        self.body.addLayout(head)


class PicturePanel(Panel):
    """A large picture with a title."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.picture = Picture()
        self.body.addWidget(self.picture, 1)


class QualityPanel(Panel):
    """Correlations against the null level over time, and the verdict in one word."""

    def __init__(self) -> None:
        super().__init__("Decoding quality")
        self.note.setText("correlation, last 2 min")
        self.setToolTip(RULE)
        self.word = label("NO DATA", "word")
        self._activity = label("")
        self._pixel = label("")
        self._null = label("")
        self.body.addLayout(
            _row(self.word, _column(self._activity, self._pixel, self._null))
        )
        self._plot = _plot(QUALITY_S, (-0.15, 1.05))
        self._null_line = _line(self._plot, theme.FAINT, 1)
        self._level_line = _line(self._plot, theme.MUTED, 2, dashed=True)
        self._pixel_line = _line(self._plot, theme.PINK, 2)
        self._activity_line = _line(self._plot, theme.SKY, 3)
        self.body.addWidget(self._plot, 1)

    def draw(self, history: Sequence[Judged], verdict: Verdict) -> None:
        """Show the correlations so far, newest at 0 s, and what they amount to."""
        color = theme.VERDICT[verdict.word]
        self.word.setText(verdict.word)
        self.word.setStyleSheet(f"color: {color}")
        self._activity.setText(
            _key(theme.SKY, "━", "held-out activity", verdict.activity)
        )
        self._pixel.setText(_key(theme.PINK, "━", "pixels", verdict.pixel))
        self._null.setText(_key(theme.MUTED, "┅", "null level", verdict.null_level))
        table = np.array(history, np.float64).reshape(-1, 5)
        at_s = table[:, 0] - table[-1:, 0]
        self._activity_line.setData(at_s, table[:, 1], connect="finite")
        self._null_line.setData(at_s, table[:, 2], connect="finite")
        self._pixel_line.setData(at_s, table[:, 3], connect="finite")
        self._level_line.setData([-QUALITY_S, 0], [verdict.null_level] * 2)


class FieldPanel(Panel):
    """The registered field and how the brain moved."""

    def __init__(self, centers: Array | None = None) -> None:
        """`centers`: (n, 2) row and column of each ROI in camera pixels."""
        super().__init__("Field and motion")
        self._centers = centers
        self._marked_step = 0
        self.picture = Picture()
        self._y, self._x = label(""), label("")
        self._plot = _plot(MOTION_S, (-_LEAST_MOTION_PX, _LEAST_MOTION_PX))
        self._y_line = _line(self._plot, theme.SKY, 2)
        self._x_line = _line(self._plot, theme.ORANGE, 2)
        trace = _column(_row(self._y, self._x), self._plot)
        both = _row(self.picture, trace)
        both.setStretch(0, 1)
        both.setStretch(1, 1)
        self.body.addLayout(both, 1)

    def draw(self, field: Field, image: Array, motion: Sequence[Shift]) -> None:
        """Show one registered field and the shifts until then, newest at 0 s."""
        self._mark(field.step)
        self.picture.draw(image)
        y_px, x_px = field.shift_px
        self.note.setText(f"template match {field.confidence:.2f}")
        self._y.setText(_key(theme.SKY, "━", "y", y_px, "{:+.1f} px"))
        self._x.setText(_key(theme.ORANGE, "━", "x", x_px, "{:+.1f} px"))
        table = np.array(motion, np.float64).reshape(-1, 3)
        at_s = table[:, 0] - table[-1, 0]
        self._y_line.setData(at_s, table[:, 1])
        self._x_line.setData(at_s, table[:, 2])
        most_px = max(_LEAST_MOTION_PX, 1.1 * float(np.abs(table[:, 1:]).max()))
        self._plot.setYRange(-most_px, most_px, padding=0)

    def _mark(self, step: int) -> None:
        if self._centers is not None and step != self._marked_step:
            self.picture.mark(self._centers / step)
            self._marked_step = step


class RasterPanel(Panel):
    """Activity of the last seconds, a row per neuron."""

    def __init__(self) -> None:
        super().__init__("Activity")
        self.setToolTip("A row per neuron, each scaled to its own recent range.")
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setColorMap(pg.colormap.get("inferno"))
        self._plot = _plot(RASTER_S, (0, 1))
        self._plot.addItem(self._image)
        self._plot.hideAxis("left")
        self._plot.getPlotItem().setContentsMargins(_MARGIN_PX, 8, _MARGIN_PX, 0)
        self.body.addWidget(self._plot, 1)

    def draw(self, raster: Raster) -> None:
        """Show the raster's picture, newest at 0 s."""
        shown = "" if raster.rows == raster.n_neurons else f"{raster.rows} of "
        self.note.setText(f"{shown}{raster.n_neurons} neurons")
        self._image.setImage(raster.picture(), autoLevels=False, levels=(0, 255))
        self._image.setRect(QRectF(-RASTER_S, 0, RASTER_S, 1))


class HealthLine(QWidget):
    """The figures in a row, each with its label above."""

    def __init__(self) -> None:
        super().__init__()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(12, 0, 12, 0)
        self._cells: list[tuple[QLabel, QLabel]] = []

    def draw(self, figures: Sequence[Figure]) -> None:
        """Show the figures; always as many as the first time."""
        if not self._cells:
            self._build(len(figures))
        for figure, (name, value) in zip(figures, self._cells, strict=True):
            name.setText(figure.label)
            value.setText(figure.value)
            value.setToolTip(figure.hint)
            if value.property("alarm") != figure.alarm:
                value.setProperty("alarm", figure.alarm)
                value.style().polish(value)

    def _build(self, count: int) -> None:
        for i in range(count):
            self._cells.append((label("", "label"), label("", "value")))
            self._row.addLayout(_column(*self._cells[-1]))
            if i < count - 1:
                self._row.addStretch(1)


def label(text: str, name: str = "text") -> QLabel:
    """Return a label of the theme's kind `name`: title, note, word, label, value."""
    made = QLabel(text)
    made.setObjectName(name)
    return made


def _row(*parts: QWidget | QLayout) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(12)
    _fill(row, parts)
    return row


def _column(*parts: QWidget | QLayout) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(0)
    _fill(column, parts)
    return column


def _fill(box: QBoxLayout, parts: Sequence[QWidget | QLayout]) -> None:
    for part in parts:
        if isinstance(part, QWidget):
            box.addWidget(part)
        else:
            box.addLayout(part)


def _key(color: str, line: str, name: str, value: float, form: str = "{:.2f}") -> str:
    """Return a legend entry with the newest value, as rich text."""
    text = form.format(value) if np.isfinite(value) else "–"
    return f'<span style="color:{color}">{line}</span> {name} <b>{text}</b>'


def _plot(past_s: float, y: tuple[float, float]) -> Any:
    """Return a plot of the last `past_s` seconds that only shows: no menu, no mouse."""
    plot = pg.PlotWidget(background=theme.PANEL)
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.setRange(xRange=(-past_s, 0), yRange=y, padding=0, disableAutoRange=True)
    plot.getPlotItem().setContentsMargins(0, 8, _MARGIN_PX, 0)
    font = QFont()
    font.setPixelSize(theme.AXIS_PX)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        # The outermost labels reach past the axis, where they would be left out.
        axis.setStyle(
            tickFont=font, tickTextOffset=4, hideOverlappingLabels=_OVERHANG_PX
        )
        axis.setPen(theme.RULE)
        axis.setTextPen(theme.MUTED)
    past = [(-past_s, f"-{past_s:.0f} s"), (-past_s / 2, f"-{past_s / 2:.0f} s")]
    plot.getAxis("bottom").setTicks([[*past, (0, "now")]])
    return plot


def _line(plot: Any, color: str, width: int, dashed: bool = False) -> Any:
    style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
    return plot.plot(pen=pg.mkPen(color, width=width, style=style))
