"""Where the window's parts lie; how somebody left them is remembered."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QSettings, Qt
from PySide6.QtWidgets import QSplitter, QWidget

SIZE = (1440, 900)
_GAP_PX = 8


def splitter(
    direction: Qt.Orientation, *parts: tuple[QWidget, int], name: str
) -> QSplitter:
    """Return the parts in a row or a column, whose shares somebody may change."""
    made = QSplitter(direction)
    made.setObjectName(name)
    made.setHandleWidth(_GAP_PX)
    made.setChildrenCollapsible(False)
    for i, (part, share) in enumerate(parts):
        made.addWidget(part)
        made.setStretchFactor(i, share)
    made.setSizes([share for _, share in parts])
    return made


def memory() -> QSettings:
    """Return where layouts are kept, for each user of this computer."""
    form, scope = QSettings.Format.IniFormat, QSettings.Scope.UserScope
    return QSettings(form, scope, "rtrecon", "display")


def keep(window: QWidget, settings: QSettings) -> None:
    """Keep the window's place and size, and the shares of its parts."""
    settings.setValue("window", window.saveGeometry())
    for part in window.findChildren(QSplitter):
        settings.setValue(part.objectName(), part.saveState())
    settings.sync()


def restore(window: QWidget, settings: QSettings) -> None:
    """Lay the window out as it was kept; what was not kept stays as it is."""
    kept = settings.value("window")
    if isinstance(kept, QByteArray):
        window.restoreGeometry(kept)
    for part in window.findChildren(QSplitter):
        kept = settings.value(part.objectName())
        if isinstance(kept, QByteArray):
            part.restoreState(kept)
