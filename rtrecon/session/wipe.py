"""Deletes a recorded session: everything that rtrecon has written into its folder.

A session holds a reconstruction of what an animal saw; whoever owns it must be able to
delete all of it. Files that the user has put into the folder stay.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.session import tables
from rtrecon.session.session import Session
from rtrecon.session.session_files import (
    list_files,
    require_finished,
    split_entries,
)


@dataclass(frozen=True)
class WipePlan:
    """What will be deleted of a session's folder, and what stays.

    entries: written by rtrecon. other_entries: of the user; if there are any, the
    folder stays with them. n_files, size_mb: of what will be deleted.
    """

    folder: Path
    entries: list[Path]
    other_entries: list[Path]
    n_files: int
    size_mb: float

    def describe(self) -> str:
        """Return a sentence on what would be deleted, and what would stay."""
        return (
            f"{self.folder}: {self.n_files} files, {self.size_mb:.1f} MB "
            f"({_join_names(self.entries)}){self.describe_others()}"
        )

    def describe_others(self) -> str:
        """Return what stays, as the end of a sentence; empty if nothing does."""
        if not self.other_entries:
            return ""
        return f"; not written by rtrecon, stays: {_join_names(self.other_entries)}"


def plan_wipe(folder: Path) -> WipePlan:
    """Return what would be deleted; UserError if it is no session or is in use."""
    if folder.is_symlink():
        raise UserError(f"{folder} is a link; give the folder that it points to")
    Session(folder)  # raises if it is none
    entries, other_entries = split_entries(folder)
    files = list_files(entries)
    require_finished(folder, files)
    size_mb = sum(file.lstat().st_size for file in files) / 1e6
    return WipePlan(folder, entries, other_entries, len(files), size_mb)


def wipe_session(plan: WipePlan) -> None:
    """Delete what is planned; `about.json` goes last, so that it can be repeated."""
    about = plan.folder / tables.ABOUT_FILE
    try:
        for entry in plan.entries:
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry != about:
                entry.unlink()
        about.unlink()
        if not plan.other_entries:
            plan.folder.rmdir()
    except OSError as error:
        raise UserError(
            f"{plan.folder} could not be deleted completely: {error}; close the "
            "programs that use it, and wipe it again"
        ) from None


def _join_names(entries: list[Path]) -> str:
    return ", ".join(entry.name for entry in entries)
