"""The parts of the window, where they lie, and how their layout is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypeVar

from PySide6.QtCore import QByteArray, QSettings, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from rtrecon.display import theme
from rtrecon.display.dish_page import DishPage
from rtrecon.display.health_line import HealthLine
from rtrecon.display.panels.panel import (
    ElidedLabel,
    Panel,
    TitledFrame,
    make_label,
    make_row,
)
from rtrecon.display.picture import Picture
from rtrecon.display.timeline import Timeline

DEFAULT_SIZE = (1440, 900)
_HANDLE_PX = 8

_Panel = TypeVar("_Panel", bound=Panel[Any])


class PictureFrame(TitledFrame):
    """A large picture with a title."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.picture = Picture()
        self.body.addWidget(self.picture, 1)


class WindowLayout(QWidget):
    """All widgets of the window in their places; `Window` fills them.

    From top to bottom: the banner (hidden while nothing is wrong), reconstruction and
    stimulus, the timeline, the panels, the health line, the note (hidden until needed),
    and the status sentence. In a session of neurons in a dish, its page takes the place
    of the pictures, the timeline and the panels. The key help lies over all of it and
    is hidden until needed.
    """

    def __init__(self, panel_types: Sequence[type[Panel[Any]]]) -> None:
        super().__init__()
        self.setWindowTitle("rtrecon")
        self.setStyleSheet(theme.STYLE_SHEET)
        self.movie = PictureFrame("Reconstruction")
        self.stimulus = PictureFrame("Stimulus at the same moment")
        self.timeline = Timeline()
        self.dish_page = DishPage()
        self.pages = QStackedWidget()
        self.panels: list[Panel[Any]] = [panel_type() for panel_type in panel_types]
        self.panels.append(self.dish_page)
        self.health_line, self.sentence = HealthLine(), ElidedLabel()
        self.process_states = make_label("? keys", "note")
        self.banner = make_label("", "banner")
        self.banner.setWordWrap(True)
        self.banner.hide()
        self.note = QLineEdit()
        self.note.setPlaceholderText(
            "Note for the recording: Enter sends it, Esc discards it"
        )
        self.note.hide()
        self.help = make_label("", "help")
        self._arrange()
        self.help.setParent(self)
        self.help.hide()

    def panel(self, panel_type: type[_Panel]) -> _Panel:
        """Return the panel of this type; raises `LookupError` if there is none."""
        for panel in self.panels:
            if isinstance(panel, panel_type):
                return panel
        raise LookupError(f"the window has no {panel_type.__name__}")

    def show_dish(self, is_dish: bool) -> None:
        """Show the page of neurons in a dish, or that of the movie."""
        self.pages.setCurrentIndex(1 if is_dish else 0)

    def notify(self, sentence: str) -> None:
        """Show a sentence at the bottom of the window."""
        self.sentence.show_text(sentence)

    def show_conditions(self, conditions: Mapping[str, str]) -> None:
        """Show a banner with what is wrong, a sentence by name; hide it if empty."""
        lines = [
            f"<b>{escape(name.upper())}</b> &nbsp; {escape(sentence)}"
            for name, sentence in conditions.items()
        ]
        self.banner.setText("<br>".join(lines))
        self.banner.setVisible(bool(lines))

    def dim_panels(self, is_dimmed: bool) -> None:
        """Dim the panels while their content may be out of date."""
        for panel in self.panels:
            panel.set_dimmed(is_dimmed)

    def open_note(self) -> None:
        """Open an empty line for a note."""
        self.note.clear()
        self.note.show()
        self.note.setFocus()

    def toggle_help(self) -> None:
        """Show or hide the keys."""
        self.help.setVisible(self.help.isHidden())
        self._centre_help()

    def toggle_full_screen(self) -> None:
        """Fill the screen, or stop filling it."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def hide_note_and_help(self) -> None:
        """Hide the note and the keys."""
        self.note.hide()
        self.help.hide()
        self.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the help in the middle; called by Qt."""
        super().resizeEvent(event)
        self._centre_help()

    def _centre_help(self) -> None:
        self.help.adjustSize()
        self.help.move(self.rect().center() - self.help.rect().center())
        self.help.raise_()

    def _arrange(self) -> None:
        horizontal, vertical = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        pictures = make_splitter(
            "pictures", horizontal, [(self.movie, 700), (self.stimulus, 700)]
        )
        in_row = [panel for panel in self.panels if panel is not self.dish_page]
        panels = make_splitter(
            "panels", horizontal, [(panel, panel.width_share) for panel in in_row]
        )
        upper = QWidget()
        upper_layout = QVBoxLayout(upper)
        upper_layout.setContentsMargins(0, 0, 0, 0)
        upper_layout.setSpacing(2)
        upper_layout.addWidget(pictures, 1)
        upper_layout.addWidget(self.timeline)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 8)
        layout.setSpacing(8)
        layout.addWidget(self.banner)
        rows = make_splitter("rows", vertical, [(upper, 470), (panels, 330)])
        self.pages.addWidget(rows)
        self.pages.addWidget(self.dish_page)
        layout.addWidget(self.pages, 1)
        layout.addWidget(self.health_line)
        layout.addWidget(self.note)
        bottom = make_row(self.sentence, self.process_states)
        bottom.setStretch(0, 1)
        layout.addLayout(bottom)
        self.resize(*DEFAULT_SIZE)


def make_splitter(
    name: str, direction: Qt.Orientation, parts: Sequence[tuple[QWidget, int]]
) -> QSplitter:
    """Return (widget, share) parts in a row or column; the user can move the handles.

    The layout is saved under `name`.
    """
    splitter = QSplitter(direction)
    splitter.setObjectName(name)
    splitter.setHandleWidth(_HANDLE_PX)
    splitter.setChildrenCollapsible(False)
    for i, (widget, share) in enumerate(parts):
        splitter.addWidget(widget)
        splitter.setStretchFactor(i, share)
    splitter.setSizes([share for _, share in parts])
    return splitter


def open_layout_settings() -> QSettings:
    """Return the file in which each user's layout is saved."""
    file_format, scope = QSettings.Format.IniFormat, QSettings.Scope.UserScope
    return QSettings(file_format, scope, "rtrecon", "display")


def save_layout(window: QWidget, settings: QSettings) -> None:
    """Save the window's position and size, and the shares of its parts."""
    settings.setValue("window", window.saveGeometry())
    for splitter in window.findChildren(QSplitter):
        settings.setValue(splitter.objectName(), splitter.saveState())
    settings.sync()


def restore_layout(window: QWidget, settings: QSettings) -> None:
    """Restore what `save_layout` saved; everything else stays as it is."""
    geometry = settings.value("window")
    if isinstance(geometry, QByteArray):
        window.restoreGeometry(geometry)
    for splitter in window.findChildren(QSplitter):
        saved = settings.value(splitter.objectName())
        if isinstance(saved, QByteArray):
            splitter.restoreState(saved)
