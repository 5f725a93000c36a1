"""The window of the presenter: draws a picture and tells when the screen showed it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import (
    QBackingStore,
    QCloseEvent,
    QColor,
    QGuiApplication,
    QImage,
    QKeyEvent,
    QOpenGLContext,
    QPaintDevice,
    QPainter,
    QRegion,
    QScreen,
    QSurface,
    QSurfaceFormat,
    QWindow,
)
from PySide6.QtOpenGL import QOpenGLPaintDevice

from rtrecon.core.types import Array
from rtrecon.presenter import PresenterError
from rtrecon.presenter.clips import GRAY_LEVEL
from rtrecon.presenter.gamma import N_LEVELS
from rtrecon.stimulus_space.video import VIDEO

PatchCorner = Literal["none", "top-left", "top-right", "bottom-left", "bottom-right"]
MAX_PATCH_SHARE = 0.5
_DEFAULT_REFRESH_HZ = 60.0  # where the system does not know it


@dataclass(frozen=True)
class ScreenLayout:
    """Where and how the pictures are drawn.

    screen: its number from 1; None = the last one, which is usually the mouse's.
    window: width and height in pixels; None = full screen. patch_share: side of the
    photodiode patch, as a share of the window's height. gamma_table: uint8 (256,).
    """

    gamma_table: Array
    screen: int | None = None
    window: tuple[int, int] | None = None
    patch: PatchCorner = "bottom-right"
    patch_share: float = 0.08


class _Surface(Protocol):
    """What a window draws on. size: in the units in which it is drawn."""

    has_flips: bool  # whether `show` returns when the screen changes

    def measure(self) -> QSize: ...

    def begin(self, size: QSize) -> QPaintDevice: ...

    def show(self, size: QSize) -> None: ...


class ScreenWindow(QWindow):
    """A window on the mouse's screen, without cursor; Esc or closing it ends all.

    Raises PresenterError if there is no such screen.
    """

    def __init__(self, layout: ScreenLayout) -> None:
        screen = _find_screen(layout.screen)
        super().__init__(screen)
        self.is_closed = False
        self._layout = layout
        # Every level at once; a level that a picture has is looked up in it.
        self._colors = [
            QColor(value, value, value).rgb() for value in layout.gamma_table.tolist()
        ]
        self.setTitle("rtrecon stimulus")
        self.setCursor(Qt.CursorShape.BlankCursor)
        self._surface: _Surface = _make_surface(self)
        self._show_on(screen)

    @property
    def nominal_refresh_hz(self) -> float:
        """Refreshes per second, as the system says."""
        rate_hz = float(self.screen().refreshRate())
        return rate_hz if rate_hz > 1 else _DEFAULT_REFRESH_HZ

    @property
    def has_flips(self) -> bool:
        """Whether the graphics driver tells when the screen changes."""
        return self._surface.has_flips

    def show_picture(
        self, picture: Array, is_patch_bright: bool
    ) -> tuple[float, float]:
        """Draw uint8 (height, width), and wait until the screen changes to it.

        Returns the time of the change by time.perf_counter() and by time.time().
        """
        size = self._surface.measure()
        painter = QPainter(self._surface.begin(size))
        self._paint(painter, QRect(QPoint(0, 0), size), picture)
        self._paint_patch(painter, size, is_patch_bright)
        painter.end()
        self._surface.show(size)
        return time.perf_counter(), time.time()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """End with Esc."""
        if event.key() == Qt.Key.Key_Escape:
            self.is_closed = True

    def closeEvent(self, event: QCloseEvent) -> None:
        """End when the user closes the window."""
        self.is_closed = True
        event.accept()

    def _show_on(self, screen: QScreen) -> None:
        if self._layout.window is None:
            self.setGeometry(screen.geometry())
            self.showFullScreen()
        else:
            self.setFramePosition(screen.availableGeometry().topLeft())
            self.resize(*self._layout.window)
            self.show()

    def _paint(self, painter: QPainter, whole: QRect, picture: Array) -> None:
        painter.fillRect(whole, QColor.fromRgb(self._colors[GRAY_LEVEL]))
        height, width = picture.shape
        image = QImage(
            picture.data, width, height, width, QImage.Format.Format_Indexed8
        )
        image.setColorTable(self._colors)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        # Converted first: between two levels, not between their numbers in the table.
        painter.drawImage(
            _fit_picture(whole.size()),
            image.convertToFormat(QImage.Format.Format_RGB32),
        )

    def _paint_patch(self, painter: QPainter, size: QSize, is_bright: bool) -> None:
        if self._layout.patch == "none":
            return
        side = max(1, round(self._layout.patch_share * size.height()))
        vertical, horizontal = self._layout.patch.split("-")
        x = 0 if horizontal == "left" else size.width() - side
        y = 0 if vertical == "top" else size.height() - side
        level = N_LEVELS - 1 if is_bright else 0
        painter.fillRect(x, y, side, side, QColor(level, level, level))


class _OpenGlSurface:
    """Draws with OpenGL; swapping the buffers waits for the screen's refresh."""

    has_flips = True

    def __init__(self, window: QWindow, context: QOpenGLContext) -> None:
        self._window, self._context = window, context

    def measure(self) -> QSize:
        return self._window.size() * self._window.devicePixelRatio()

    def begin(self, size: QSize) -> QPaintDevice:
        self._context.makeCurrent(self._window)
        self._device = QOpenGLPaintDevice(size)
        return self._device

    def show(self, size: QSize) -> None:
        del size
        self._context.swapBuffers(self._window)
        # Some drivers return at once and swap later; this waits for them.
        self._context.functions().glFinish()


class _RasterSurface:
    """Draws in memory, without OpenGL; nobody knows when the screen follows."""

    has_flips = False

    def __init__(self, window: QWindow) -> None:
        self._window = window
        self._store = QBackingStore(window)

    def measure(self) -> QSize:
        return self._window.size()  # Qt scales what is drawn in it

    def begin(self, size: QSize) -> QPaintDevice:
        if self._store.size() != size:
            self._store.resize(size)
        self._store.beginPaint(QRegion(QRect(QPoint(0, 0), size)))
        return self._store.paintDevice()

    def show(self, size: QSize) -> None:
        self._store.endPaint()
        self._store.flush(QRegion(QRect(QPoint(0, 0), size)))


def list_screens() -> list[str]:
    """Return a description of each screen, in the order of their numbers."""
    return [
        f"{number} ({screen.name() or 'no name'}): {screen.geometry().width()} x "
        f"{screen.geometry().height()} at {screen.refreshRate():.0f} Hz"
        for number, screen in enumerate(QGuiApplication.screens(), 1)
    ]


def _make_surface(window: QWindow) -> _Surface:
    surface_format = QSurfaceFormat()
    surface_format.setSwapInterval(1)
    surface_format.setSwapBehavior(QSurfaceFormat.SwapBehavior.DoubleBuffer)
    context = QOpenGLContext(window)
    context.setFormat(surface_format)
    if not context.create():
        window.setSurfaceType(QSurface.SurfaceType.RasterSurface)
        return _RasterSurface(window)
    window.setSurfaceType(QSurface.SurfaceType.OpenGLSurface)
    window.setFormat(surface_format)
    return _OpenGlSurface(window, context)


def _find_screen(number: int | None) -> QScreen:
    screens = QGuiApplication.screens()
    if number is None:
        return screens[-1]
    if not 1 <= number <= len(screens):
        found = "; ".join(list_screens())
        raise PresenterError(
            f"there is no screen {number}; this computer has {found}. Connect it and "
            "extend the desktop to it, or give another --screen"
        )
    return screens[number - 1]


def _fit_picture(size: QSize) -> QRect:
    """Return the largest rectangle in the middle that has the shape of the pictures."""
    fitted = QSize(VIDEO.shape[1], VIDEO.shape[0]).scaled(
        size, Qt.AspectRatioMode.KeepAspectRatio
    )
    x = (size.width() - fitted.width()) // 2
    y = (size.height() - fitted.height()) // 2
    return QRect(QPoint(x, y), fitted)
