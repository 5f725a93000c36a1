"""What the person at the rig sees: one window, in its own process."""

from __future__ import annotations

from rtrecon.core.process import give_way
from rtrecon.display.options import DisplayError, DisplayOptions

__all__ = ["DisplayError", "DisplayOptions", "run"]


def run(options: DisplayOptions) -> int:
    """Show the window until it is closed; returns the exit status.

    Raises `DisplayError` with a sentence where this machine cannot show one.
    """
    try:
        # Here and not above: a daemon's machine need not be able to load Qt.
        from rtrecon.display import window
    except ImportError as error:
        raise DisplayError(
            f"the window needs PySide6 and pyqtgraph, which do not load: {error}; "
            "on Debian or Ubuntu install libegl1 libgl1 libxkbcommon0 libdbus-1-3 "
            "libfontconfig1, elsewhere reinstall rtrecon"
        ) from None
    give_way()
    return window.run(options)
