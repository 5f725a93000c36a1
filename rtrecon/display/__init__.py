"""The display: one window, in its own process, that shows the live reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.core.process import lower_priority
from rtrecon.transport.keys import ClientKeys

__all__ = ["DisplayError", "DisplayOptions", "run_display"]


class DisplayError(UserError):
    """The window cannot be shown; the text says why and what to do."""


@dataclass(frozen=True)
class DisplayOptions:
    """Where to receive from, and what the window does.

    publish, control: addresses at which the daemon publishes and takes requests. keys:
    of a client, for a daemon with CURVE keys. snapshot: PNG file of the window,
    replaced every two seconds and at the end. headless: draw without a screen. folder:
    for the pictures and clips that the user saves. remember_layout: open the window as
    the user left it.
    """

    publish: str = "tcp://127.0.0.1:5562"
    control: str = "tcp://127.0.0.1:5563"
    keys: ClientKeys | None = None
    snapshot: Path | None = None
    headless: bool = False
    close_with_daemon: bool = False
    folder: Path = Path("snapshots")
    remember_layout: bool = False


def run_display(options: DisplayOptions) -> int:
    """Show the window until it is closed; return the exit status.

    Raises `DisplayError` if this machine cannot show a window.
    """
    try:
        # Imported here, so that a machine without Qt can import this package.
        from rtrecon.display import application
    except ImportError as error:
        raise DisplayError(
            f"the window needs PySide6 and pyqtgraph, but they cannot be loaded: "
            f"{error}; on Debian or Ubuntu install libegl1 libgl1 libxkbcommon0 "
            "libdbus-1-3 libfontconfig1, elsewhere reinstall rtrecon"
        ) from None
    lower_priority()
    return application.run_window(options)
