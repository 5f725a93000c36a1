"""Which entries of a session folder rtrecon has written; the others are the user's."""

from __future__ import annotations

import time
from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.core.frame_intervals import format_interval, is_time_lapse
from rtrecon.session import tables
from rtrecon.session.session import Session

REPORT_FILE = "report.html"
ENCODER_FILE = "encoder.safetensors"  # that was trained in the session itself
CALIBRATION_STATE_FILE = "calibration.training_state"
_MIN_QUIET_S = 3.0  # the daemon writes its health at least every second
# Of a time-lapse, the daemon writes its health when something has changed, and at least
# this often: once a second would make gigabytes of a week.
TIME_LAPSE_HEALTH_S = 60.0
_PATTERNS = (
    tables.ABOUT_FILE,
    tables.ARRAYS_FOLDER,
    tables.RAW_MESSAGES_FILE,
    *tables.MESSAGE_FILES.values(),
    REPORT_FILE,
    ENCODER_FILE,
    "encoder-training.*",
    CALIBRATION_STATE_FILE,
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
    quiet_s = _MIN_QUIET_S
    if is_time_lapse(Session(folder).about.rate_hz):
        quiet_s += TIME_LAPSE_HEALTH_S
    if time.time() - newest_s < quiet_s:
        raise UserError(
            f"{folder} is still being written; stop recording, and wait "
            f"{format_interval(quiet_s)}"
        )


def _is_written_by_rtrecon(entry: Path) -> bool:
    return not entry.is_symlink() and any(entry.match(name) for name in _PATTERNS)
