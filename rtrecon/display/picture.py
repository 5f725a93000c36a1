"""A gray picture that fills its place, with marks on it and a notice over it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtrecon.display import theme
from rtrecon.wire import Array

_NOTICE_PX = 32
_MARK_PX = 2


class Picture(QWidget):
    """Shows uint8 (height, width) as gray 0..255, at its own proportions.

    `notice` is a sentence written plainly over a darkened picture. `marks` are
    (n, 2) points (row, col) in px of the picture.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notice = ""
        self.pixels: Array | None = None
        self._marks = QPolygonF()
        # All of it is painted here, so that Qt need not paint what lies beneath.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 68)

    def draw(self, pixels: Array | None, notice: str = "") -> None:
        """Show other pixels or another notice; nothing is repainted for the same."""
        if pixels is not self.pixels or notice != self.notice:
            self.pixels, self.notice = pixels, notice
            self.update()

    def mark(self, marks: Array) -> None:
        """Mark points on the picture from now on."""
        self._marks = QPolygonF(
            [QPointF(float(col) + 0.5, float(row) + 0.5) for row, col in marks]
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint pixels, marks and notice; called by Qt."""
        painter = QPainter(self)
        empty = self.pixels is None
        painter.fillRect(self.rect(), QColor("black" if empty else theme.PANEL))
        if self.pixels is not None:
            self._paint_pixels(painter, self.pixels)
        if self.notice:
            self._paint_notice(painter)
        painter.end()

    def _paint_pixels(self, painter: QPainter, pixels: Array) -> None:
        height, width = pixels.shape
        gray = QImage(
            pixels.tobytes(), width, height, width, QImage.Format.Format_Grayscale8
        )
        place = self._place(width, height)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, gray)
        if not self._marks.isEmpty():
            painter.translate(place.topLeft())
            painter.scale(place.width() / width, place.height() / height)
            pen = QPen(QColor(theme.SKY), _MARK_PX)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawPoints(self._marks)
            painter.resetTransform()

    def _paint_notice(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), QColor(0, 0, 0, 170))
        font = QFont(self.font())
        font.setPixelSize(_NOTICE_PX)
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(theme.ALARM))
        centred = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.rect().adjusted(12, 12, -12, -12), centred, self.notice)

    def _place(self, width: int, height: int) -> QRectF:
        scale = min(self.width() / width, self.height() / height)
        w, h = width * scale, height * scale
        return QRectF((self.width() - w) / 2, (self.height() - h) / 2, w, h)
