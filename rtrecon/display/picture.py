"""A gray picture that fills its place, with outlines on it and a notice over it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QImage, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtrecon.core.types import Array
from rtrecon.display import theme

MEAN_GRAY = 127  # what the inversion starts from where it knows nothing
_NOTICE_PX = 44
_DETAIL_PX = 22
_BORDER_PX = 4


@dataclass(frozen=True)
class Look:
    """How pixels are shown: contrast about mean gray, and how opaque each one is.

    trust: float32 (height, width), 0 = transparent, 1 = opaque; None or another shape
    than the picture's = opaque throughout. told: 0..1, the same for all of the picture.
    border: a colour; dashed for what may still change.
    """

    gain: float = 1.0
    trust: Array | None = None
    told: float = 1.0
    border: str = ""
    dashed: bool = False


PLAIN = Look()


class Picture(QWidget):
    """Shows uint8 (height, width) as gray 0..255, at its own proportions.

    `notice` is written plainly over a darkened picture: its first line large, what
    follows smaller.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notice = ""
        self.pixels: Array | None = None
        self.look = PLAIN
        self._labels: Array | None = None
        self._outlines = QImage()
        # All of it is painted here, so that Qt need not paint what lies beneath.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 68)

    def draw(self, pixels: Array | None, notice: str = "", look: Look = PLAIN) -> None:
        """Show other pixels or another notice; nothing is repainted for the same."""
        same = pixels is self.pixels and notice == self.notice
        if not same or not _alike(look, self.look):
            self.pixels, self.notice, self.look = pixels, notice, look
            self.update()

    def outline(self, labels: Array | None) -> None:
        """Draw a line round each region from now on.

        labels: int (lines, pixels) over the whole picture, at any resolution; 0 = none.
        """
        self._labels, self._outlines = labels, QImage()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint pixels, outlines and notice; called by Qt."""
        painter = QPainter(self)
        empty = self.pixels is None
        painter.fillRect(self.rect(), QColor("black" if empty else theme.PANEL))
        if self.pixels is not None:
            self._paint_pixels(painter, self.pixels)
        if self.notice:
            self._paint_notice(painter)
        painter.end()

    def _paint_pixels(self, painter: QPainter, pixels: Array) -> None:
        place = self._place(*pixels.shape)
        shown, trust = _stronger(pixels, self.look), _trust(pixels, self.look)
        if trust is not None:
            painter.fillRect(place, QColor(theme.BEHIND))
            painter.fillRect(place, _see_through())
            painter.drawImage(
                place.topLeft(), _enlarged(_translucent(shown, trust), place)
            )
        else:
            painter.drawImage(place.topLeft(), _enlarged(_gray(shown), place))
        if self._labels is not None:
            self._paint_outlines(painter, self._labels, place)
        if self.look.border:
            style = Qt.PenStyle.DashLine if self.look.dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(QColor(self.look.border), _BORDER_PX, style))
            half = _BORDER_PX // 2
            painter.drawRect(place.adjusted(half, half, -half, -half))

    def _paint_outlines(self, painter: QPainter, labels: Array, place: QRect) -> None:
        size = place.height(), place.width()
        if (self._outlines.height(), self._outlines.width()) != size:
            self._outlines = _outlines(labels, size)
        painter.drawImage(place.topLeft(), self._outlines)

    def _paint_notice(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), QColor(0, 0, 0, 190))
        head, _, detail = self.notice.partition("\n")
        room = self.rect().adjusted(16, 16, -16, -16)
        font = QFont(self.font())
        font.setBold(True)
        font.setPixelSize(_NOTICE_PX)
        painter.setFont(font)
        painter.setPen(QColor(theme.ALARM))
        wrapped = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
        large = painter.boundingRect(room, wrapped, head)
        large.moveCenter(room.center())
        painter.drawText(large, wrapped, head)
        font.setPixelSize(_DETAIL_PX)
        painter.setFont(font)
        painter.setPen(QColor(theme.TEXT))
        below = QRect(QPoint(room.left(), large.bottom() + 8), room.bottomRight())
        painter.drawText(below, wrapped, detail)

    def _place(self, height: int, width: int) -> QRect:
        scale = min(self.width() / width, self.height() / height)
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        return QRect((self.width() - w) // 2, (self.height() - h) // 2, w, h)


def _alike(one: Look, other: Look) -> bool:
    same = replace(one, trust=None) == replace(other, trust=None)
    return same and one.trust is other.trust


def _trust(pixels: Array, look: Look) -> Array | None:
    """Return how opaque each pixel is; None where all of them are."""
    if look.trust is not None and look.trust.shape == pixels.shape:
        return look.trust * np.float32(look.told)
    if look.told < 1:
        return np.full(pixels.shape, look.told, np.float32)
    return None


def _stronger(pixels: Array, look: Look) -> Array:
    if look.gain == 1.0:
        return pixels
    gray = MEAN_GRAY + look.gain * (pixels - float(MEAN_GRAY))
    return np.asarray(np.clip(gray, 0, 255), np.uint8)


def _gray(pixels: Array) -> QImage:
    height, width = pixels.shape
    form = QImage.Format.Format_Grayscale8
    gray = QImage(pixels.tobytes(), width, height, width, form)
    return gray.convertToFormat(QImage.Format.Format_RGB32)


def _translucent(pixels: Array, trust: Array) -> QImage:
    height, width = pixels.shape
    alpha = np.asarray(np.clip(np.nan_to_num(trust), 0, 1) * 255, np.uint8)
    colors = np.dstack([pixels, pixels, pixels, alpha]).tobytes()
    form = QImage.Format.Format_RGBA8888
    image = QImage(colors, width, height, 4 * width, form)
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def _enlarged(image: QImage, place: QRect) -> QImage:
    """Return the image in the size of its place; faster than to scale while drawing."""
    stretched = Qt.AspectRatioMode.IgnoreAspectRatio
    smooth = Qt.TransformationMode.SmoothTransformation
    return image.scaled(place.size(), stretched, smooth)


def _see_through() -> QBrush:
    """Return the sign for nothing there, which no gray can be mistaken for."""
    return QBrush(QColor(theme.HATCH), Qt.BrushStyle.BDiagPattern)


def _outlines(labels: Array, size: tuple[int, int]) -> QImage:
    """Return lines a screen pixel wide where regions end, in a picture of this size."""
    rows, cols = (
        (np.arange(n) * side) // n for n, side in zip(size, labels.shape, strict=True)
    )
    shown = labels[np.ix_(rows, cols)]
    edge = np.zeros(size, bool)
    edge[:-1] |= shown[:-1] != shown[1:]
    edge[:, :-1] |= shown[:, :-1] != shown[:, 1:]
    color = QColor(theme.SKY)
    picture = np.zeros((*size, 4), np.uint8)
    picture[edge] = color.red(), color.green(), color.blue(), 200
    form = QImage.Format.Format_RGBA8888
    return QImage(picture.tobytes(), size[1], size[0], 4 * size[1], form).copy()
