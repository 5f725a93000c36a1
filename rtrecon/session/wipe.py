"""Deletes a recorded session with everything in its folder.

A session holds a reconstruction of what an animal saw; whoever owns it must be able to
delete all of it.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.session import tables
from rtrecon.session.session import Session

_MIN_QUIET_S = 3.0  # the daemon writes its health every second


@dataclass(frozen=True)
class WipePlan:
    """Everything in a session's folder, which will be deleted with it."""

    folder: Path
    entry_names: list[str]
    n_files: int
    size_mb: float

    def describe(self) -> str:
        """Return a sentence on what would be deleted."""
        return (
            f"{self.folder}: {self.n_files} files, {self.size_mb:.1f} MB "
            f"({', '.join(self.entry_names)})"
        )


def plan_wipe(folder: Path) -> WipePlan:
    """Return what would be deleted; UserError if it is no session or is in use."""
    if folder.is_symlink():
        raise UserError(f"{folder} is a link; give the folder that it points to")
    Session(folder)  # raises if it is none
    files = [file for file in folder.rglob("*") if file.is_file()]
    newest_s = max(file.lstat().st_mtime for file in files)
    if time.time() - newest_s < _MIN_QUIET_S:
        raise UserError(
            f"{folder} is still being written; stop recording, and wait a few seconds"
        )
    size = sum(file.lstat().st_size for file in files)
    names = sorted(entry.name for entry in folder.iterdir())
    return WipePlan(folder, names, len(files), size / 1e6)


def wipe_session(plan: WipePlan) -> None:
    """Delete the folder; `about.json` goes last, so that a failure can be repeated."""
    about = plan.folder / tables.ABOUT_FILE
    try:
        for entry in plan.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != about:
                entry.unlink()
        about.unlink()
        plan.folder.rmdir()
    except OSError as error:
        raise UserError(
            f"{plan.folder} could not be deleted completely: {error}; close the "
            "programs that use it, and wipe it again"
        ) from None
