"""Progress of long work, reported through a callback that the caller gives."""

from __future__ import annotations

from collections.abc import Callable

# stage, fraction of it that is done (0..1), one more detail for the user
ProgressCallback = Callable[[str, float, str], None]


def ignore_progress(_stage: str, _fraction: float, _detail: str) -> None:
    """Discard progress; the default where nobody asks for it."""
