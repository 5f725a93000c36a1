"""Checks whether this machine can show a window, before Qt tries to and aborts."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import PySide6
from PySide6.QtCore import QLibraryInfo, QObject, QPluginLoader

from rtrecon.core.operating_system import has_screen, is_linux
from rtrecon.display import DisplayError


def find_pyside_problem() -> str:
    """Return why this version of PySide6 would crash; "" if it would not.

    PySide6 6.12.0 releases one reference to True too many with every signal. Python
    3.12 and newer never delete True; older versions abort within minutes.
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


def require_screen() -> None:
    """Raise `DisplayError` if Qt cannot open a window (it would abort the process).

    Where the user has chosen Qt's platform (QT_QPA_PLATFORM), nothing is checked.
    """
    if not is_linux() or os.environ.get("QT_QPA_PLATFORM"):
        return
    if os.environ.get("WAYLAND_DISPLAY"):
        return
    if not has_screen():
        raise DisplayError(
            "this machine has no screen (neither DISPLAY nor WAYLAND_DISPLAY is set); "
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
