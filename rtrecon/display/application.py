"""The Qt application of the display: can this machine show a window, and run it."""

from __future__ import annotations

import os
import sys
from contextlib import closing

import zmq
from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication

from rtrecon.core.process import call_on_signals
from rtrecon.display import DisplayError, DisplayOptions
from rtrecon.display.client import DisplayClient
from rtrecon.display.screen_check import find_pyside_problem, require_screen
from rtrecon.display.window import Window

# The offscreen platform prints this for every window; it means nothing to the user.
_IRRELEVANT_QT_MESSAGE = "propagateSizeHints"


def run_window(options: DisplayOptions) -> int:
    """Show the window until the user closes it, a signal arrives or the daemon stops.

    Returns the exit status 0. Raises `DisplayError` or `AddressError`.
    """
    app = create_application(options.headless)
    addresses = options.publish, options.control
    with (
        zmq.Context() as context,
        closing(DisplayClient(context, addresses, options.keys)) as client,
    ):
        window = Window(options, client)
        # Python runs signal handlers between two calls of the window's timer.
        with call_on_signals(window.close):
            window.show()
            window.start()
            return int(app.exec())


def create_application(headless: bool) -> QApplication:
    """Return the Qt application of this process; headless draws without a screen.

    Raises `DisplayError` if there is no screen, a library or all fonts are missing.
    """
    if problem := find_pyside_problem():
        raise DisplayError(problem)
    running = QApplication.instance()
    if isinstance(running, QApplication):
        return running
    if headless:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        qInstallMessageHandler(_print_qt_message)
    require_screen()
    app = QApplication(["rtrecon"])
    app.setApplicationDisplayName("rtrecon")
    # Qt's wheels contain no fonts; without a font every label is an empty box.
    if not QFontDatabase.families():
        raise DisplayError("no fonts are installed; install fonts-dejavu-core")
    return app


def _print_qt_message(
    message_type: QtMsgType, context: QMessageLogContext, message: str
) -> None:
    """Print what Qt reports, except for the message that has no meaning here."""
    del message_type, context
    if _IRRELEVANT_QT_MESSAGE not in message:
        print(message, file=sys.stderr)
