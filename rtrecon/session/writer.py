"""The disk side of a recording: one session's files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import zarr

from rtrecon.session import tables
from rtrecon.session.growing_array import GrowingArray, replace

# Chunks fill a little before they are `chunk_s` old, so that each is written once.
CHUNK_MARGIN = 0.8


class Writer:
    """The files of one session. Everything slow, or that can fail, happens in here."""

    def __init__(self, path: Path, about: tables.About) -> None:
        zarr.create_group(path / tables.ARRAYS)
        self._tables = {
            name: TableWriter(path / tables.ARRAYS / name, spec, about.chunk_s)
            for name, spec in tables.specs(about).items()
        }
        self._lines = {kind: path / name for kind, name in tables.LINES.items()}
        # Last, for it is what makes the folder a recording.
        replace(path / tables.ABOUT, msgspec.json.format(msgspec.json.encode(about)))

    def write(self, kind: str, item: Any, values: Any) -> None:
        """Append a row of numbers and its values to a table, or a message to a file."""
        if kind in self._tables:
            self._tables[kind].append(item, values)
            return
        with self._lines[kind].open("ab") as file:
            file.write(msgspec.json.encode(item) + b"\n")

    def flush(self, older_than_s: float = 0.0) -> None:
        """Write open chunks whose oldest row has waited longer than this."""
        for table in self._tables.values():
            table.flush(older_than_s)


class TableWriter:
    """One table: its rows, and their values if it has any."""

    def __init__(self, folder: Path, spec: tables.TableSpec, chunk_s: float) -> None:
        zarr.create_group(folder, attributes={"columns": list(spec.columns)})
        n = max(1, round(CHUNK_MARGIN * chunk_s * spec.rate_hz))
        self._rows = GrowingArray(folder / "rows", (n, len(spec.columns)), "<f8")
        self._values: GrowingArray | None = None
        if spec.shape is not None:
            self._values = GrowingArray(folder / "values", (n, *spec.shape), spec.dtype)
        self._opened_s = 0.0  # when the oldest row not on disk came

    def append(self, row: Any, values: Any) -> None:
        """Take one row and what it measured."""
        if not self._rows.open_rows:
            self._opened_s = time.monotonic()
        # Values first: a row on disk always has its values on disk.
        if self._values is not None:
            self._values.append(values)
        self._rows.append(row)

    def flush(self, older_than_s: float) -> None:
        """Write the open chunk if its oldest row has waited longer than this."""
        age_s = time.monotonic() - self._opened_s
        if not self._rows.open_rows or age_s < older_than_s:
            return
        if self._values is not None:
            self._values.flush()
        self._rows.flush()
