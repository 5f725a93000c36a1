"""Progress of long work, reported through a callback that the caller gives."""

from __future__ import annotations

from collections.abc import Callable

# stage, fraction of it that is done (0..1), one more detail for the user
ProgressCallback = Callable[[str, float, str], None]


def ignore_progress(_stage: str, _fraction: float, _detail: str) -> None:
    """Discard progress; the default where nobody asks for it."""


def format_duration(seconds: float) -> str:
    """Return a duration as text: '40 s', '12 min' or '1 h 30 min'."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
