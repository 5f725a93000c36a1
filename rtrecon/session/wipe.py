"""A session deleted: what was recorded of perception is nobody else's business."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.session import tables
from rtrecon.session.session import Session

_QUIET_S = 3.0  # the daemon writes its health every second


@dataclass(frozen=True)
class Wipe:
    """All that lies in a session's folder, and will be deleted with it."""

    folder: Path
    names: list[str]
    n_files: int
    size_mb: float

    def sentence(self) -> str:
        """Return what it is about."""
        return (
            f"{self.folder}: {self.n_files} files, {self.size_mb:.1f} MB "
            f"({', '.join(self.names)})"
        )


def plan_wipe(folder: Path) -> Wipe:
    """Return what there is to delete; UserError if it is no session, or in use."""
    if folder.is_symlink():
        raise UserError(f"{folder} is a link; give the folder that it points to")
    Session(folder)  # raises where it is none
    files = [file for file in folder.rglob("*") if file.is_file()]
    newest_s = max(file.lstat().st_mtime for file in files)
    if time.time() - newest_s < _QUIET_S:
        raise UserError(
            f"{folder} is still written to; stop recording, and wait a few seconds"
        )
    size = sum(file.lstat().st_size for file in files)
    names = sorted(entry.name for entry in folder.iterdir())
    return Wipe(folder, names, len(files), size / 1e6)


def wipe(planned: Wipe) -> None:
    """Delete the folder. What makes it a session goes last: it can be tried again."""
    about = planned.folder / tables.ABOUT
    try:
        for entry in planned.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != about:
                entry.unlink()
        about.unlink()
        planned.folder.rmdir()
    except OSError as error:
        raise UserError(
            f"{planned.folder} could not be deleted whole: {error}; close what has it "
            "open, and wipe it again"
        ) from None
