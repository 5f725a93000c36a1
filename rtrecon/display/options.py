"""What a display is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.transport.keys import ClientKeys


class DisplayError(UserError):
    """A window that cannot be shown; its text says why and what to do."""


@dataclass(frozen=True)
class DisplayOptions:
    """Where to listen and what to do besides showing.

    publish, control: the daemon's addresses. snapshot: a PNG of the window, replaced
    about every two seconds and at the end. keys: a client's, where the daemon wants
    some. headless: draw without a screen. folder: for pictures and clips that somebody
    saves. remember: the window opens where and as it was left.
    """

    publish: str = "tcp://127.0.0.1:5562"
    control: str = "tcp://127.0.0.1:5563"
    keys: ClientKeys | None = None
    snapshot: Path | None = None
    headless: bool = False
    close_with_daemon: bool = False
    folder: Path = Path("snapshots")
    remember: bool = False
