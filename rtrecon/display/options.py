"""What a display is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtrecon.errors import UserError
from rtrecon.rois import RoiSet


class DisplayError(UserError):
    """A window that cannot be shown; its text says why and what to do."""


@dataclass(frozen=True)
class DisplayOptions:
    """Where to listen and what to do besides showing.

    publish, control: the daemon's addresses. snapshot: a PNG of the window, replaced
    about every two seconds and at the end. headless: draw without a screen.
    rois: masks whose centres are marked on the field.
    """

    publish: str = "tcp://127.0.0.1:5562"
    control: str = "tcp://127.0.0.1:5563"
    snapshot: Path | None = None
    headless: bool = False
    close_with_daemon: bool = False
    rois: RoiSet | None = None
