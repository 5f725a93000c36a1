"""What all demos do between the start of their processes and their results."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.demo.child_processes import ChildProcesses
from rtrecon.demo.processes import stop_daemon
from rtrecon.transport.senders import SessionSender

Notify = Callable[[str], None]
OnFrame = Callable[[int, int], None]  # frames sent, frames in total

_MIN_SECONDS = 3.0
_LINGER_S = 1.5  # after the last frame, so that the inverter finishes its last hops


def require_length(seconds: float) -> None:
    """Raise UserError if a demo of this length would show nothing."""
    if seconds < _MIN_SECONDS:
        raise UserError(
            f"seconds = {seconds:g} is too short; give {_MIN_SECONDS:g} or more"
        )


def make_frame_reporter(
    children: ChildProcesses, on_frame: OnFrame, n_frames: int, every: int = 1
) -> Callable[[int], None]:
    """Return a function to call with the index of each frame that was sent.

    It reports the progress, and after every so many frames measures the memory of the
    processes and raises UserError if the daemon has exited.
    """

    def report_frame(index: int) -> None:
        on_frame(index + 1, n_frames)
        if index % every == 0:
            children.measure_memory()
            if not children.is_running("daemon"):
                raise UserError("the daemon exited; its messages above say why")

    return report_frame


def finish_session(children: ChildProcesses, settings: Settings) -> Path:
    """Let the inverter end, and stop the daemon; return the recording's folder."""
    time.sleep(_LINGER_S)
    return stop_daemon(children, settings)


def describe_sender(sender: SessionSender, children: ChildProcesses) -> dict[str, Any]:
    """Return figures that the recording does not have."""
    return {
        "frames_sent": sender.n_sent,
        "frames_dropped_by_sender": sender.n_dropped,
        "peak_memory_mb": {"display": children.peak_mb.get("display")},
    }
