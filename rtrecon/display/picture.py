"""A widget that shows a gray image, with outlines on it and a notice over it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QImage, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtrecon.core.types import Array
from rtrecon.display import theme

MEAN_GRAY = 127  # the inversion starts from this level, and stays there without data
_HEADLINE_PX = 44
_DETAIL_PX, _DETAIL_GAP_PX = 22, 8
_BORDER_PX = 4


@dataclass(frozen=True)
class PictureStyle:
    """How pixels are drawn.

    contrast_gain: factor on the difference from mean gray. opacity: float32 (height,
    width), 0 = transparent, 1 = opaque; None, or another shape than that of the
    pixels, means opaque. overall_opacity: 0..1, a factor on all pixels. border_color:
    "" = no border; the border of a provisional frame is dashed.
    """

    contrast_gain: float = 1.0
    opacity: Array | None = None
    overall_opacity: float = 1.0
    border_color: str = ""
    has_dashed_border: bool = False


DEFAULT_STYLE = PictureStyle()


class Picture(QWidget):
    """Shows uint8 (height, width) as gray 0..255 and keeps its aspect ratio.

    `notice` is written over the darkened picture: its first line as a headline, the
    other lines smaller.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notice = ""
        self.pixels: Array | None = None
        self.style_shown = DEFAULT_STYLE
        self._labels: Array | None = None
        self._outline_image = QImage()
        # paintEvent covers the whole widget, so Qt need not paint the background.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 68)

    def draw(
        self,
        pixels: Array | None,
        notice: str = "",
        style: PictureStyle = DEFAULT_STYLE,
    ) -> None:
        """Show these pixels and this notice; repaints only if something differs."""
        is_same = pixels is self.pixels and notice == self.notice
        if not is_same or not _is_same_style(style, self.style_shown):
            self.pixels, self.notice, self.style_shown = pixels, notice, style
            self.update()

    def set_outlines(self, labels: Array | None) -> None:
        """Draw a line around each region from now on.

        labels: int (lines, pixels) of the whole picture at any resolution, 0 = none.
        """
        self._labels, self._outline_image = labels, QImage()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint pixels, outlines and notice; called by Qt."""
        painter = QPainter(self)
        background = "black" if self.pixels is None else theme.PANEL
        painter.fillRect(self.rect(), QColor(background))
        if self.pixels is not None:
            self._paint_pixels(painter, self.pixels)
        if self.notice:
            self._paint_notice(painter)
        painter.end()

    def _paint_pixels(self, painter: QPainter, pixels: Array) -> None:
        style, area = self.style_shown, self._image_area(*pixels.shape)
        gray = _change_contrast(pixels, style.contrast_gain)
        opacity = _pixel_opacity(pixels, style)
        if opacity is None:
            image = _gray_image(gray)
        else:
            painter.fillRect(area, QColor(theme.BEHIND_MOVIE))
            painter.fillRect(area, _hatching())
            image = _translucent_image(gray, opacity)
        painter.drawImage(area.topLeft(), _scale_to(image, area))
        if self._labels is not None:
            self._paint_outlines(painter, self._labels, area)
        if style.border_color:
            is_dashed = style.has_dashed_border
            line = Qt.PenStyle.DashLine if is_dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(QColor(style.border_color), _BORDER_PX, line))
            half = _BORDER_PX // 2
            painter.drawRect(area.adjusted(half, half, -half, -half))

    def _paint_outlines(self, painter: QPainter, labels: Array, area: QRect) -> None:
        size = area.height(), area.width()
        if (self._outline_image.height(), self._outline_image.width()) != size:
            self._outline_image = _draw_outlines(labels, size)
        painter.drawImage(area.topLeft(), self._outline_image)

    def _paint_notice(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), QColor(0, 0, 0, 190))
        headline, _, detail = self.notice.partition("\n")
        area = self.rect().adjusted(16, 16, -16, -16)
        font, detail_font = QFont(self.font()), QFont(self.font())
        for each, size_px in ((font, _HEADLINE_PX), (detail_font, _DETAIL_PX)):
            each.setBold(True)
            each.setPixelSize(size_px)
        wrapped = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
        painter.setFont(detail_font)
        detail_area = painter.boundingRect(area, wrapped, detail)
        painter.setFont(font)
        headline_area = painter.boundingRect(area, wrapped, headline)
        # The headline is in the middle, unless a long text needs the place above it.
        free_px = area.bottom() - headline_area.height() // 2 - area.center().y()
        excess_px = detail_area.height() + _DETAIL_GAP_PX - free_px
        headline_area.moveCenter(area.center())
        headline_area.translate(0, -max(0, excess_px))
        headline_area.moveTop(max(area.top(), headline_area.top()))
        painter.setPen(QColor(theme.ALARM))
        painter.drawText(headline_area, wrapped, headline)
        painter.setFont(detail_font)
        painter.setPen(QColor(theme.TEXT))
        top_left = QPoint(area.left(), headline_area.bottom() + _DETAIL_GAP_PX)
        painter.drawText(QRect(top_left, area.bottomRight()), wrapped, detail)

    def _image_area(self, height: int, width: int) -> QRect:
        """Return where the image lies: as large as fits, centred."""
        scale = min(self.width() / width, self.height() / height)
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        return QRect((self.width() - w) // 2, (self.height() - h) // 2, w, h)


def _is_same_style(one: PictureStyle, other: PictureStyle) -> bool:
    is_same = replace(one, opacity=None) == replace(other, opacity=None)
    return is_same and one.opacity is other.opacity


def _pixel_opacity(pixels: Array, style: PictureStyle) -> Array | None:
    """Return the opacity of each pixel; None if all are opaque."""
    if style.opacity is not None and style.opacity.shape == pixels.shape:
        return style.opacity * np.float32(style.overall_opacity)
    if style.overall_opacity < 1:
        return np.full(pixels.shape, style.overall_opacity, np.float32)
    return None


def _change_contrast(pixels: Array, gain: float) -> Array:
    if gain == 1.0:
        return pixels
    gray = MEAN_GRAY + gain * (pixels - float(MEAN_GRAY))
    return np.asarray(np.clip(gray, 0, 255), np.uint8)


def _gray_image(pixels: Array) -> QImage:
    height, width = pixels.shape
    pixel_format = QImage.Format.Format_Grayscale8
    image = QImage(pixels.tobytes(), width, height, width, pixel_format)
    return image.convertToFormat(QImage.Format.Format_RGB32)


def _translucent_image(pixels: Array, opacity: Array) -> QImage:
    height, width = pixels.shape
    alpha = np.asarray(np.clip(np.nan_to_num(opacity), 0, 1) * 255, np.uint8)
    rgba = np.dstack([pixels, pixels, pixels, alpha]).tobytes()
    pixel_format = QImage.Format.Format_RGBA8888
    image = QImage(rgba, width, height, 4 * width, pixel_format)
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def _scale_to(image: QImage, area: QRect) -> QImage:
    """Return the image in the size of the area; faster than scaling while painting."""
    ignore_ratio = Qt.AspectRatioMode.IgnoreAspectRatio
    smooth = Qt.TransformationMode.SmoothTransformation
    return image.scaled(area.size(), ignore_ratio, smooth)


def _hatching() -> QBrush:
    """Return the pattern behind transparent pixels; it looks like no gray level."""
    return QBrush(QColor(theme.HATCH), Qt.BrushStyle.BDiagPattern)


def _draw_outlines(labels: Array, size: tuple[int, int]) -> QImage:
    """Return lines, one screen pixel wide, where regions end; an image of this size."""
    rows, cols = (
        (np.arange(n) * side) // n for n, side in zip(size, labels.shape, strict=True)
    )
    scaled = labels[np.ix_(rows, cols)]
    is_edge = np.zeros(size, bool)
    is_edge[:-1] |= scaled[:-1] != scaled[1:]
    is_edge[:, :-1] |= scaled[:, :-1] != scaled[:, 1:]
    color = QColor(theme.SKY)
    rgba = np.zeros((*size, 4), np.uint8)
    rgba[is_edge] = color.red(), color.green(), color.blue(), 200
    pixel_format = QImage.Format.Format_RGBA8888
    image = QImage(rgba.tobytes(), size[1], size[0], 4 * size[1], pixel_format)
    return image.copy()
