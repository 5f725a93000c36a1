"""Which entries of a session folder rtrecon has written; the others are the user's."""

from __future__ import annotations

import time
from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.session import tables

REPORT_FILE = "report.html"
_MIN_QUIET_S = 3.0  # the daemon writes its health at least every second
_PATTERNS = (
    tables.ABOUT_FILE,
    tables.ARRAYS_FOLDER,
    tables.RAW_MESSAGES_FILE,
    *tables.MESSAGE_FILES.values(),
    REPORT_FILE,
    "reference_plane*.npz",
    "state_plane*.npz",
    "trace_quality_plane*.csv",
    ".*.partial*",  # a file whose writing was interrupted
)


def split_entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the entries that rtrecon has written, and all others, both sorted.

    A link is never rtrecon's own.
    """
    entries = sorted(folder.iterdir())
    written = [entry for entry in entries if _is_written_by_rtrecon(entry)]
    return written, [entry for entry in entries if entry not in written]


def list_files(entries: list[Path]) -> list[Path]:
    """Return the files among these entries and in their folders, sorted."""
    files = [file for entry in entries for file in (entry, *entry.rglob("*"))]
    return sorted(file for file in files if file.is_file() or file.is_symlink())


def require_finished(folder: Path, files: list[Path]) -> None:
    """Raise `UserError` if one of the session's files was written just now."""
    newest_s = max(file.lstat().st_mtime for file in files)
    if time.time() - newest_s < _MIN_QUIET_S:
        raise UserError(
            f"{folder} is still being written; stop recording, and wait a few seconds"
        )


def _is_written_by_rtrecon(entry: Path) -> bool:
    return not entry.is_symlink() and any(entry.match(name) for name in _PATTERNS)
