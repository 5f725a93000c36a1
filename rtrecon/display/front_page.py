"""All parts of the window in their places, without anything that moves them."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from rtrecon.display import theme
from rtrecon.display.field_panel import FieldPanel
from rtrecon.display.held_out_panel import HeldOutPanel
from rtrecon.display.layout import SIZE, splitter
from rtrecon.display.panels import HealthLine, PicturePanel, Sentence, label, row
from rtrecon.display.quality_panel import QualityPanel
from rtrecon.display.raster_panel import RasterPanel
from rtrecon.display.strip import Strip


class FrontPage(QWidget):
    """The parts, a line for notes and a list of keys over it all, shown on request."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("rtrecon")
        self.setStyleSheet(theme.STYLE)
        self.movie = PicturePanel("Reconstruction")
        self.stimulus = PicturePanel("Stimulus at the same moment")
        self.strip = Strip()
        self.quality, self.held_out = QualityPanel(), HeldOutPanel()
        self.field, self.raster = FieldPanel(), RasterPanel()
        self.health, self.sentence = HealthLine(), Sentence()
        self.states = label("? keys", "note")
        self.note = QLineEdit()
        self.note.setPlaceholderText(
            "A note for the record; Enter sends it, Esc does not"
        )
        self.note.hide()
        self.help = label("", "help")
        self._lay_out()
        self.help.setParent(self)
        self.help.hide()

    def say(self, sentence: str) -> None:
        """Show a sentence on the bottom line."""
        self.sentence.say(sentence)

    def stale(self, stale: bool) -> None:
        """Dim the plots, whose last state is not known to be true now; or no longer."""
        for panel in (self.quality, self.held_out, self.field, self.raster):
            panel.dim(stale)

    def write_note(self) -> None:
        """Let somebody type a note."""
        self.note.clear()
        self.note.show()
        self.note.setFocus()

    def show_help(self) -> None:
        """Show the keys over the window, or no longer."""
        self.help.setVisible(self.help.isHidden())
        self._centre_help()

    def fill_screen(self) -> None:
        """Fill the screen, or no longer."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def dismiss(self) -> None:
        """Put the note and the keys away."""
        self.note.hide()
        self.help.hide()
        self.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the keys in the middle; called by Qt."""
        super().resizeEvent(event)
        self._centre_help()

    def _centre_help(self) -> None:
        self.help.adjustSize()
        room = self.rect()
        self.help.move(room.center() - self.help.rect().center())
        self.help.raise_()

    def _lay_out(self) -> None:
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        pictures = splitter(
            across, (self.movie, 700), (self.stimulus, 700), name="pictures"
        )
        plots = splitter(
            across,
            (self.quality, 365),
            (self.held_out, 310),
            (self.field, 455),
            (self.raster, 290),
            name="plots",
        )
        upper = QWidget()
        stack = QVBoxLayout(upper)
        stack.setContentsMargins(0, 0, 0, 0)
        stack.setSpacing(2)
        stack.addWidget(pictures, 1)
        stack.addWidget(self.strip)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(10, 10, 10, 8)
        rows.setSpacing(8)
        rows.addWidget(splitter(down, (upper, 470), (plots, 330), name="rows"), 1)
        rows.addWidget(self.health)
        rows.addWidget(self.note)
        bottom = row(self.sentence, self.states)
        bottom.setStretch(0, 1)
        rows.addLayout(bottom)
        self.resize(*SIZE)
