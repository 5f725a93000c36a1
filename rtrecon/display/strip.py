"""A line of time under the movie: what is final, what may change, where we are."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtrecon.display import theme
from rtrecon.display.playback import RATE_HZ, Span

LIVE_S = 4.0  # shown while the movie is live; when it is held, all that is kept
_HEIGHT_PX = 46
_BAR_PX = 18
_GAP_PX = 3  # between the bar and its labels
_SIDE_PX = 14
_LEAST_LABEL_PX = 90


class Strip(QWidget):
    """Draws a span of encoder frames; a click or a drag asks to stand at a frame."""

    asked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._span: Span | None = None
        self._shown = 0
        self._held = False
        self.setFixedHeight(_HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Click or drag to look back.")

    def draw(self, span: Span | None, shown: int, held: bool) -> None:
        """Show what is kept and which frame of it is on the screen."""
        if (span, shown, held) != (self._span, self._shown, self._held):
            self._span, self._shown, self._held = span, shown, held
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Ask for the frame under the mouse; called by Qt."""
        self._ask(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Ask for the frame under the mouse while it is dragged; called by Qt."""
        self._ask(event.position().x())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the line; called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._span is not None:
            self._paint(painter, self._span)
        painter.end()

    def _paint(self, painter: QPainter, span: Span) -> None:
        top = self.height() - _BAR_PX - 4
        x = [self._x(span, index) for index in (self._first(span), span.final)]
        final = QRectF(x[0], top, x[1] - x[0], _BAR_PX)
        provisional = QRectF(x[1], top, self._x(span, span.newest) - x[1], _BAR_PX)
        painter.fillRect(final, QColor(theme.FINAL))
        painter.fillRect(
            provisional, QBrush(QColor(theme.PROVISIONAL), Qt.BrushStyle.BDiagPattern)
        )
        painter.setPen(QPen(QColor(theme.PROVISIONAL), 1))
        painter.drawRect(provisional)
        self._paint_labels(painter, final, provisional)
        at = self._x(span, self._shown)
        painter.fillRect(QRectF(at - 3, top - 5, 6, _BAR_PX + 9), QColor(theme.TEXT))

    def _paint_labels(
        self, painter: QPainter, final: QRectF, provisional: QRectF
    ) -> None:
        font = QFont(self.font())
        font.setPixelSize(theme.LABEL_PX)
        painter.setFont(font)
        seconds = (provisional.right() - final.left()) / max(1e-9, self._px_per_s())
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        above = -_BAR_PX - _GAP_PX
        old, young = (
            part.adjusted(0, above, 0, above) for part in (final, provisional)
        )
        painter.setPen(QColor(theme.MUTED))
        painter.drawText(old, left, f"-{seconds:.0f} s")
        painter.drawText(young.adjusted(-_LEAST_LABEL_PX, 0, 0, 0), right, "now")
        if provisional.width() > 2 * _LEAST_LABEL_PX:
            painter.setPen(QColor(theme.PROVISIONAL))
            painter.drawText(young, left, "may still change")
            painter.setPen(QColor(theme.FINAL))
            painter.drawText(old.adjusted(0, 0, -8, 0), right, "final")

    def _first(self, span: Span) -> int:
        """Return the frame at the left end."""
        if self._held:
            return span.oldest
        return max(span.oldest, span.newest - round(LIVE_S * RATE_HZ))

    def _px_per_frame(self, span: Span) -> float:
        frames = max(1, span.newest - self._first(span))
        return (self.width() - 2 * _SIDE_PX) / frames

    def _px_per_s(self) -> float:
        return self._px_per_frame(self._span) * RATE_HZ if self._span else 0.0

    def _x(self, span: Span, index: int) -> float:
        first = self._first(span)
        return _SIDE_PX + (max(index, first) - first) * self._px_per_frame(span)

    def _ask(self, x: float) -> None:
        if self._span is not None:
            frames = (x - _SIDE_PX) / self._px_per_frame(self._span)
            self.asked.emit(self._first(self._span) + round(frames))
