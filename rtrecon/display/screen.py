"""Whether this machine can show a window, asked before Qt would abort the process."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import PySide6
from PySide6.QtCore import QLibraryInfo, QObject, QPluginLoader
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication

from rtrecon.display.options import DisplayError


def application(headless: bool) -> QApplication:
    """Return the process's Qt application; headless draws without a screen.

    Raises `DisplayError` where there is no screen, no library or no font for it.
    """
    if found := defect():
        raise DisplayError(found)
    running = QApplication.instance()
    if isinstance(running, QApplication):
        return running
    if headless:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if sys.platform == "linux" and not os.environ.get("QT_QPA_PLATFORM"):
        _require_screen()
    app = QApplication(["rtrecon"])
    app.setApplicationDisplayName("rtrecon")
    # Qt's wheels bring no fonts; without any, every label would be an empty box.
    if not QFontDatabase.families():
        raise DisplayError("no fonts are installed; install fonts-dejavu-core")
    return app


def defect() -> str:
    """Return why this PySide6 would end the process sooner or later; '' if sound.

    PySide6 6.12.0 gives back one reference to True too many with every signal. From
    Python 3.12 on True cannot be lost; before, the process aborts within minutes.
    """
    source = QObject()
    before = sys.getrefcount(True)
    for _ in range(20):
        source.objectNameChanged.emit("")
    if sys.getrefcount(True) > before - 10:
        return ""
    return (
        f"PySide6 {PySide6.__version__} aborts after some minutes on Python "
        f"{platform.python_version()}; "
        "install another version: pip install 'PySide6-Essentials!=6.12.0'"
    )


def _require_screen() -> None:
    if os.environ.get("WAYLAND_DISPLAY"):
        return
    if not os.environ.get("DISPLAY"):
        raise DisplayError(
            "there is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set); "
            "log in to a desktop, or draw without a screen: --headless --snapshot FILE"
        )
    folder = Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath))
    plugin = QPluginLoader(str(folder / "platforms" / "libqxcb.so"))
    if not plugin.load():
        raise DisplayError(
            f"Qt cannot reach the screen: {plugin.errorString()}; "
            "on Debian or Ubuntu install libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 "
            "libxkbcommon-x11-0"
        )
