"""The timeline below the movie: stored frames, final or provisional, and the cursor."""

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
from rtrecon.display.playback import Span

LIVE_DURATION_S = 4.0  # shown while the movie is live; when paused, all that is stored
_HEIGHT_PX = 46
_BAR_PX = 18
_GAP_PX = 3  # between the bar and its labels
_SIDE_PX = 14
_MIN_LABEL_PX = 90
_TOOL_TIP = (
    "Blue: final frames. Hatched: provisional frames, which the inversion still "
    "refines.\nClick or drag to pause the movie at an earlier time."
)


class Timeline(QWidget):
    """Draws a span of encoder frames; emits `frame_clicked` on a click or a drag."""

    frame_clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._span: Span | None = None
        self._shown_index = 0
        self._is_paused = False
        self.setFixedHeight(_HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(_TOOL_TIP)

    def draw(self, span: Span | None, shown_index: int, is_paused: bool) -> None:
        """Show the stored frames, and which of them is on the screen."""
        if (span, shown_index, is_paused) != (
            self._span,
            self._shown_index,
            self._is_paused,
        ):
            self._span, self._shown_index = span, shown_index
            self._is_paused = is_paused
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Emit the frame under the mouse; called by Qt."""
        self._emit_frame_at(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Emit the frame under the mouse while it is dragged; called by Qt."""
        self._emit_frame_at(event.position().x())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the bar, its labels and the cursor; called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._span is not None:
            self._paint_span(painter, self._span)
        painter.end()

    def _paint_span(self, painter: QPainter, span: Span) -> None:
        top = self.height() - _BAR_PX - 4
        left = self._index_to_x(span, self._first_index(span))
        middle = self._index_to_x(span, span.final)
        right = self._index_to_x(span, span.newest)
        final = QRectF(left, top, middle - left, _BAR_PX)
        provisional = QRectF(middle, top, right - middle, _BAR_PX)
        painter.fillRect(final, QColor(theme.FINAL))
        hatching = QBrush(QColor(theme.PROVISIONAL), Qt.BrushStyle.BDiagPattern)
        painter.fillRect(provisional, hatching)
        painter.setPen(QPen(QColor(theme.PROVISIONAL), 1))
        painter.drawRect(provisional)
        self._paint_labels(painter, final, provisional)
        x = self._index_to_x(span, self._shown_index)
        painter.fillRect(QRectF(x - 3, top - 5, 6, _BAR_PX + 9), QColor(theme.TEXT))

    def _paint_labels(
        self, painter: QPainter, final: QRectF, provisional: QRectF
    ) -> None:
        font = QFont(self.font())
        font.setPixelSize(theme.LABEL_PX)
        painter.setFont(font)
        duration_px = provisional.right() - final.left()
        duration_s = duration_px / max(1e-9, self._px_per_s())
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        rise = -_BAR_PX - _GAP_PX
        above_final = final.adjusted(0, rise, 0, rise)
        above_provisional = provisional.adjusted(0, rise, 0, rise)
        painter.setPen(QColor(theme.MUTED))
        painter.drawText(above_final, left, f"-{duration_s:.0f} s")
        at_end = above_provisional.adjusted(-_MIN_LABEL_PX, 0, 0, 0)
        painter.drawText(at_end, right, "now")
        if provisional.width() > 2 * _MIN_LABEL_PX:
            painter.setPen(QColor(theme.PROVISIONAL))
            painter.drawText(above_provisional, left, "provisional")
            painter.setPen(QColor(theme.FINAL))
            painter.drawText(above_final.adjusted(0, 0, -8, 0), right, "final")

    def _first_index(self, span: Span) -> int:
        """Return the frame at the left end."""
        if self._is_paused:
            return span.oldest
        n_frames = round(LIVE_DURATION_S * span.rate_hz)
        return max(span.oldest, span.newest - n_frames)

    def _px_per_frame(self, span: Span) -> float:
        n_frames = max(1, span.newest - self._first_index(span))
        return (self.width() - 2 * _SIDE_PX) / n_frames

    def _px_per_s(self) -> float:
        span = self._span
        return self._px_per_frame(span) * span.rate_hz if span else 0.0

    def _index_to_x(self, span: Span, index: int) -> float:
        first = self._first_index(span)
        return _SIDE_PX + (max(index, first) - first) * self._px_per_frame(span)

    def _emit_frame_at(self, x: float) -> None:
        if self._span is not None:
            n_frames = (x - _SIDE_PX) / self._px_per_frame(self._span)
            self.frame_clicked.emit(self._first_index(self._span) + round(n_frames))
