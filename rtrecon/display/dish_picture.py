"""A widget that shows a picture of a dish with what was traced in it."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from rtrecon.core.neuron_colors import make_colors
from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.panel_states.dish import DishPlaneState
from rtrecon.display.panel_states.neuron_history import find_filled_pixels
from rtrecon.protocol.dish_messages import LOOSE, NOT_CLAIMED

_GRAY_SHARE = 0.85  # of the picture below the colors; its root shows faint neurites
_RING_RADIUS_PX, _NUMBER_PX = 8.0, 13
_HATCH_PERIOD_PX, _HATCH_LEVELS = 8, 35


class DishPicture(QWidget):
    """The registered picture; neurites have the color of their neuron.

    Bodies have their number, confirmed touches a thick ring and provisional ones a thin
    ring, neurites of no neuron are gray, and where nothing is claimed it is hatched.
    """

    # y, x in camera px, and whether Shift was held.
    clicked = Signal(float, float, bool)

    def __init__(self) -> None:
        super().__init__()
        self.image = QImage()
        self.selected = 0  # number of the neuron that is marked; 0 = none
        self._plane = DishPlaneState()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 200)

    def show_plane(self, plane: DishPlaneState) -> None:
        """Show the newest picture of this stage position."""
        self._plane = plane
        self.image = _to_image(color_owners(plane))
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Emit `clicked` for a click on the picture; called by Qt."""
        area = self._find_area() if not self.image.isNull() else QRectF()
        if not area.contains(event.position()):
            return
        scale = area.width() / (self.image.width() * self._plane.owners_step_px)
        place = (event.position() - area.topLeft()) / scale
        has_shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self.clicked.emit(place.y(), place.x(), has_shift)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the picture, the touches and the numbers; called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(theme.PANEL))
        if not self.image.isNull():
            area = self._find_area()
            painter.drawImage(area, self.image)
            # From camera pixels to pixels of the widget.
            scale = area.width() / (self.image.width() * self._plane.owners_step_px)
            self._paint_contacts(painter, area.topLeft(), scale)
            self._paint_numbers(painter, area.topLeft(), scale)
        painter.end()

    def _find_area(self) -> QRectF:
        """Return where the picture lies: as large as possible, in the middle."""
        width, height = self.image.width(), self.image.height()
        scale = min(self.width() / width, self.height() / height)
        width, height = round(width * scale), round(height * scale)
        left, top = (self.width() - width) / 2, (self.height() - height) / 2
        return QRectF(left, top, width, height)

    def _paint_contacts(self, painter: QPainter, origin: QPointF, scale: float) -> None:
        for y, x, is_confirmed in self._plane.list_contacts():
            color = QColor(theme.ORANGE if is_confirmed else theme.MUTED)
            painter.setPen(QPen(color, 2.4 if is_confirmed else 1.0))
            center = origin + QPointF((x + 0.5) * scale, (y + 0.5) * scale)
            painter.drawEllipse(center, _RING_RADIUS_PX, _RING_RADIUS_PX)

    def _paint_numbers(self, painter: QPainter, origin: QPointF, scale: float) -> None:
        font = QFont()
        font.setPixelSize(_NUMBER_PX)
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor("black"))
        for number, y, x in self._plane.list_bodies():
            center = origin + QPointF((x + 0.5) * scale, (y + 0.5) * scale)
            if number == self.selected:
                painter.setPen(QPen(QColor(theme.SKY), 2.0))
                radius = _RING_RADIUS_PX + 4
                painter.drawEllipse(center, radius, radius)
                painter.setPen(QColor("black"))
            box = QRectF(center.x() - 20, center.y() - 10, 40, 20)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(number))


def color_owners(plane: DishPlaneState) -> Array:
    """Return uint8 (lines, pixels, 3): the picture with its neurites in color."""
    owners = plane.owners
    gray = 255 * _GRAY_SHARE * np.sqrt(_enlarge(plane, owners.shape) / 255)
    colored = np.repeat(gray[..., None], 3, axis=2)
    is_drawn = (owners > 0) & (owners != NOT_CLAIMED) & ~find_filled_pixels(owners)
    numbers = np.where(owners == LOOSE, 0, owners)[is_drawn]
    colored[is_drawn] = make_colors(int(numbers.max(initial=0)))[numbers]
    rows = np.arange(owners.shape[0])[:, None]
    is_striped = (rows + np.arange(owners.shape[1])) % _HATCH_PERIOD_PX == 0
    colored[(owners == NOT_CLAIMED) & is_striped] += _HATCH_LEVELS
    return np.clip(colored, 0, 255).astype(np.uint8)


def _enlarge(plane: DishPlaneState, shape: tuple[int, ...]) -> Array:
    """Return the view in the size of the image of owners, float (lines, pixels)."""
    ratio = plane.owners_step_px / plane.view_step_px
    lines, pixels = (
        np.minimum((np.arange(side) * ratio).astype(int), limit - 1)
        for side, limit in zip(shape, plane.view.shape, strict=True)
    )
    enlarged: Array = plane.view[lines[:, None], pixels].astype(np.float32)
    return enlarged


def _to_image(colored: Array) -> QImage:
    height, width, _ = colored.shape
    data = np.ascontiguousarray(colored)
    image = QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return image.copy()  # the array ends with this function
