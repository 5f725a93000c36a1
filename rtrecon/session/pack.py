"""Packs a recorded session into one file to share.

The file is a zip archive without compression (images and traces hardly shrink): it
holds the session's folder, and any zip program unpacks it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZIP_STORED, ZipFile

from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically
from rtrecon.session import tables
from rtrecon.session.session import Session
from rtrecon.session.session_files import (
    REPORT_FILE,
    list_files,
    require_finished,
    split_entries,
)

_MOVIE_FOLDER = Path(tables.ARRAYS_FOLDER) / "movie"
_METADATA_FILE = "zarr.json"


@dataclass(frozen=True)
class PackedSession:
    """A packed session. left_out: entries of the folder that it does not hold."""

    path: Path
    size_mb: float
    left_out: list[str]


def pack_session(
    folder: Path, out: Path | None = None, *, with_movie: bool = True
) -> PackedSession:
    """Write a session's files as one zip archive, by default beside the folder.

    with_movie: include the reconstructions and the report that shows them. Files that
    rtrecon has not written are left out. Raises UserError if the folder is no session
    or still being written, or if the archive cannot be written.
    """
    Session(folder)  # raises if it is none
    folder = folder.resolve()
    out = out or folder.with_name(f"{folder.name}.zip")
    entries, other_entries = split_entries(folder)
    if not with_movie:
        other_entries += [entry for entry in entries if entry.name == REPORT_FILE]
    entries = [entry for entry in entries if entry not in other_entries]
    require_finished(folder, list_files(entries))
    try:
        with open_atomically(out) as temporary, ZipFile(temporary, "w") as archive:
            for file in list_files(entries):
                _add_file(archive, folder, file, with_movie)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error}") from None
    left_out = [entry.name for entry in other_entries]
    return PackedSession(out, out.stat().st_size / 1e6, left_out)


def _add_file(archive: ZipFile, folder: Path, file: Path, with_movie: bool) -> None:
    relative = file.relative_to(folder)
    name = str(PurePosixPath(folder.name, relative))
    if with_movie:
        archive.write(file, name, ZIP_STORED)
    elif relative == Path(tables.ABOUT_FILE):
        archive.writestr(name, _change_json(file, has_movie=False))
    elif not relative.is_relative_to(_MOVIE_FOLDER):
        archive.write(file, name, ZIP_STORED)
    elif file.name == _METADATA_FILE:
        archive.writestr(name, _describe_empty_array(file))


def _describe_empty_array(file: Path) -> str:
    """Return the metadata of an array of the movie as if it had no rows."""
    metadata = json.loads(file.read_bytes())
    if "shape" not in metadata:  # of the group
        return json.dumps(metadata)
    return _change_json(file, shape=[0, *metadata["shape"][1:]])


def _change_json(file: Path, **changes: object) -> str:
    return json.dumps(json.loads(file.read_bytes()) | changes)
