"""The window's boxes: a title, a note, and in it a picture, a word or figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
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

from rtrecon.display.health import Figure
from rtrecon.display.picture import Picture

_Label = TypeVar("_Label", bound=QLabel)


class Panel(QFrame):
    """A titled box; `note` is a word or two on what it shows just now."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.title = label(title, "title")
        self.note = narrow(label("", "note"))
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(10, 6, 10, 8)
        self.body.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addWidget(self.note, 1, Qt.AlignmentFlag.AlignBottom)
        self.body.addLayout(head)
        self._veil = label("", "stale")
        self._veil.setParent(self)
        self._veil.hide()

    def dim(self, dimmed: bool) -> None:
        """Dim what was true once and is not known to be true now."""
        self._veil.setVisible(dimmed)
        self._veil.raise_()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep all of the panel under what dims it; called by Qt."""
        super().resizeEvent(event)
        self._veil.resize(self.size())


class PicturePanel(Panel):
    """A large picture with a title."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.picture = Picture()
        self.body.addWidget(self.picture, 1)


class HealthLine(QWidget):
    """The figures in a row, each with its label above."""

    def __init__(self) -> None:
        super().__init__()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(12, 0, 12, 0)
        self._cells: list[tuple[QLabel, QLabel]] = []

    def draw(self, figures: Sequence[Figure]) -> None:
        """Show the figures; always as many as the first time."""
        if not self._cells:
            self._build(len(figures))
        for figure, (name, value) in zip(figures, self._cells, strict=True):
            name.setText(figure.label)
            value.setText(figure.value)
            value.setToolTip(figure.hint)
            if value.property("alarm") != figure.alarm:
                value.setProperty("alarm", figure.alarm)
                value.style().polish(value)

    def _build(self, count: int) -> None:
        for i in range(count):
            self._cells.append((label("", "label"), label("", "value")))
            self._row.addLayout(column(*self._cells[-1]))
            if i < count - 1:
                self._row.addStretch(1)


class Sentence(QLabel):
    """One sentence, shortened to fit; whole as a tooltip. It never widens anything."""

    def __init__(self) -> None:
        super().__init__()
        narrow(self)
        self._sentence = ""

    def say(self, sentence: str) -> None:
        """Show another sentence."""
        self._sentence = sentence
        self.setToolTip(sentence)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much of the sentence as fits now; called by Qt."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        fitting = self.fontMetrics().elidedText(
            self._sentence, Qt.TextElideMode.ElideRight, self.width()
        )
        self.setText(fitting)


def label(text: str, name: str = "text") -> QLabel:
    """Return a label of the theme's kind `name`: title, note, word, label, value."""
    made = QLabel(text)
    made.setObjectName(name)
    return made


def narrow(made: _Label) -> _Label:
    """Return the label; its text, whatever it becomes, no longer moves others."""
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return made


def row(*parts: QWidget | QLayout) -> QHBoxLayout:
    """Return the parts side by side."""
    made = QHBoxLayout()
    made.setSpacing(12)
    _fill(made, parts)
    return made


def column(*parts: QWidget | QLayout) -> QVBoxLayout:
    """Return the parts below each other."""
    made = QVBoxLayout()
    made.setSpacing(0)
    _fill(made, parts)
    return made


def _fill(box: QBoxLayout, parts: Sequence[QWidget | QLayout]) -> None:
    for part in parts:
        if isinstance(part, QWidget):
            box.addWidget(part)
        else:
            box.addLayout(part)
