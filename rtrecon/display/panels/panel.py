"""The base class of the window's panels, and the labels and plots they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.commands import KeyBinding
from rtrecon.display.state import PanelState

PLOT_MARGIN_PX = 18  # beside a plot, for half of its outermost tick label
_TICK_OVERHANG_PX = 30

_Label = TypeVar("_Label", bound=QLabel)
State = TypeVar("State", bound=PanelState)


class ElidedLabel(QLabel):
    """A text, shortened to the space there is; the tool tip holds all of it."""

    def __init__(self, style: str = "text") -> None:
        super().__init__()
        self.setObjectName(style)
        ignore_text_width(self)
        self._full_text = ""

    def show_text(self, text: str) -> None:
        """Show another text."""
        if text != self._full_text:
            self._full_text = text
            self.setToolTip(text)
            self._shorten()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much of the text as fits now; called by Qt."""
        super().resizeEvent(event)
        self._shorten()

    def _shorten(self) -> None:
        right = Qt.TextElideMode.ElideRight
        metrics = self.fontMetrics()
        self.setText(metrics.elidedText(self._full_text, right, self.width()))


class TitledFrame(QFrame):
    """A box with a title; `note` is a few words about what it shows at the moment."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.title_label = make_label(title, "title")
        self.note = ElidedLabel("note")
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(10, 6, 10, 8)
        self.body.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(self.title_label)
        head.addWidget(self.note, 1, Qt.AlignmentFlag.AlignBottom)
        self.body.addLayout(head)
        self._veil = make_label("", "veil")
        self._veil.setParent(self)
        self._veil.hide()

    def set_dimmed(self, is_dimmed: bool) -> None:
        """Dim the box while its content may be out of date."""
        self._veil.setVisible(is_dimmed)
        self._veil.raise_()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the veil as large as the box; called by Qt."""
        super().resizeEvent(event)
        self._veil.resize(self.size())


class Panel(TitledFrame, Generic[State]):
    """One panel of the window: it draws one kind of `PanelState`.

    A panel class sets `title` (of its box), `width_share` (its width in the
    default window, px) and `state_type` (the class of its state), builds its widgets in
    `__init__` into `self.body`, and draws the state in `draw`. The window calls `draw`
    a few times a second, when the state has changed or `needs_redraw` is set.
    """

    title: ClassVar[str] = ""
    width_share: ClassVar[int] = 300
    state_type: type[State]

    def __init__(self) -> None:
        super().__init__(self.title)
        self.needs_redraw = False

    def draw(self, state: State, now_s: float) -> None:
        """Draw the state as it is at `now_s`."""
        raise NotImplementedError

    def is_outdated(self, state: State, now_s: float) -> bool:
        """Return whether time alone has changed what the panel should show."""
        del state, now_s
        return False

    def key_bindings(self) -> list[KeyBinding]:
        """Return the panel's own keys; the help lists them."""
        return []

    def set_masks(self, masks: Array | None) -> None:
        """Take the masks of the neurons, uint16 (planes, lines, pixels), 0 = none.

        None where the daemon has no masks. Panels that draw no masks ignore them.
        """


def make_label(text: str, style: str = "text") -> QLabel:
    """Return a label; `style` is one of the theme: title, note, word, label, value."""
    label = QLabel(text)
    label.setObjectName(style)
    return label


def ignore_text_width(label: _Label) -> _Label:
    """Return the label; from now on a longer text does not move its neighbours."""
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def make_row(*parts: QWidget | QLayout) -> QHBoxLayout:
    """Return a layout with the parts side by side."""
    layout = QHBoxLayout()
    layout.setSpacing(12)
    _add_parts(layout, parts)
    return layout


def make_column(*parts: QWidget | QLayout) -> QVBoxLayout:
    """Return a layout with the parts below each other."""
    layout = QVBoxLayout()
    layout.setSpacing(0)
    _add_parts(layout, parts)
    return layout


def make_time_plot(duration_s: float, y_limits: tuple[float, float]) -> Any:
    """Return a plot of the last `duration_s` seconds, now at the right.

    It only shows: it has no menu and ignores the mouse.
    """
    plot = pg.PlotWidget(background=theme.PANEL)
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.setRange(yRange=y_limits, padding=0, disableAutoRange=True)
    plot.getPlotItem().setContentsMargins(0, 8, PLOT_MARGIN_PX, 0)
    plot.setMinimumSize(80, 60)
    font = QFont()
    font.setPixelSize(theme.AXIS_PX)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        # pyqtgraph hides tick labels that reach past the axis, unless it knows how far.
        axis.setStyle(
            tickFont=font, tickTextOffset=4, hideOverlappingLabels=_TICK_OVERHANG_PX
        )
        axis.setPen(theme.RULE)
        axis.setTextPen(theme.MUTED)
    set_time_span(plot, duration_s)
    return plot


def set_time_span(plot: Any, duration_s: float) -> None:
    """Show the last `duration_s` seconds from now on; ticks are in readable units."""
    plot.setXRange(-duration_s, 0, padding=0)
    ticks = [(-s, f"-{_format_tick(s)}") for s in (duration_s, duration_s / 2)]
    plot.getAxis("bottom").setTicks([[*ticks, (0, "now")]])


def _format_tick(seconds: float) -> str:
    if seconds < 300:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def add_line(plot: Any, color: str, width: int, is_dashed: bool = False) -> Any:
    """Add a line to a plot and return it."""
    style = Qt.PenStyle.DashLine if is_dashed else Qt.PenStyle.SolidLine
    return plot.plot(pen=pg.mkPen(color, width=width, style=style))


def add_band(plot: Any, color: str) -> Any:
    """Add a faint horizontal band to a plot and return it."""
    tint = QColor(color)
    tint.setAlpha(34)
    band = pg.LinearRegionItem(
        orientation="horizontal", movable=False, brush=tint, pen=pg.mkPen(None)
    )
    band.setZValue(-10)
    plot.addItem(band)
    return band


def format_legend(
    color: str, sign: str, name: str, value: float, number_format: str = "{:.2f}"
) -> str:
    """Return a legend entry with the newest value, as rich text."""
    text = number_format.format(value) if np.isfinite(value) else "–"
    return f'<span style="color:{color}">{sign}</span> {name} <b>{text}</b>'


def _add_parts(layout: QBoxLayout, parts: Sequence[QWidget | QLayout]) -> None:
    for part in parts:
        if isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)
