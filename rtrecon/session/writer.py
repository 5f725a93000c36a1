"""The disk side of a recording: the files of one session."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import zarr

from rtrecon.core.files import write_atomically
from rtrecon.session import tables
from rtrecon.session.about import About
from rtrecon.session.growing_array import GrowingArray

# Chunks are full a little before they are `chunk_s` old, so each is written once.
CHUNK_MARGIN = 0.8

CORRECTED_RATE = "corrected rate"  # kind of an item that is a frame rate in Hz


class SessionWriter:
    """Writes the files of one session; all that is slow or can fail happens here."""

    def __init__(self, path: Path, about: About) -> None:
        zarr.create_group(path / tables.ARRAYS_FOLDER)
        self._tables = {
            name: TableWriter(path / tables.ARRAYS_FOLDER / name, spec, about.chunk_s)
            for name, spec in tables.make_table_specs(about).items()
        }
        self._message_files = {
            kind: path / name for kind, name in tables.MESSAGE_FILES.items()
        }
        self._about_file, self._about = path / tables.ABOUT_FILE, about
        self._write_about()  # last: this file makes the folder a session

    def write(self, kind: str, item: Any, values: Any) -> None:
        """Append a row and its values to a table, or a message to a file.

        A list is of several rows of a table without values.
        Of kind `CORRECTED_RATE`, the item is the session's frame rate in Hz.
        """
        if kind == CORRECTED_RATE:
            self._about = msgspec.structs.replace(self._about, rate_hz=item)
            self._write_about()
            return
        if kind in self._tables:
            for row in item if isinstance(item, list) else [item]:
                self._tables[kind].append(row, values)
            return
        with self._message_files[kind].open("ab") as file:
            file.write(msgspec.json.encode(item) + b"\n")

    def _write_about(self) -> None:
        content = msgspec.json.format(msgspec.json.encode(self._about))
        write_atomically(self._about_file, content)

    def flush(self, older_than_s: float = 0.0) -> None:
        """Write chunks whose oldest row has been in memory for longer than this."""
        for table in self._tables.values():
            table.flush(older_than_s)


class TableWriter:
    """Writes one table: its rows, and their values if it has any."""

    def __init__(self, folder: Path, spec: tables.TableSpec, chunk_s: float) -> None:
        zarr.create_group(folder, attributes=_describe_table(spec))
        n = round(CHUNK_MARGIN * chunk_s * spec.rate_hz)
        n = max(1, spec.min_chunk_rows, n)
        rows_shape, dimension = (n, len(spec.columns)), spec.row_dimension
        self._rows = GrowingArray(
            folder / "rows", rows_shape, "<f8", (dimension, "column")
        )
        self._values: GrowingArray | None = None
        if spec.values is not None:
            self._values = GrowingArray(
                folder / "values",
                (n, *spec.values.shape),
                spec.values.dtype,
                (dimension, *spec.values.dimensions),
                {
                    "units": spec.values.unit,
                    "long_name": spec.values.description,
                },
            )
        self._oldest_row_s = 0.0  # when the oldest row not on disk was appended

    def append(self, row: Any, values: Any) -> None:
        """Append one row and what was measured at it."""
        if not self._rows.n_unwritten_rows:
            self._oldest_row_s = time.monotonic()
        # Values first: a row on disk always has its values on disk.
        if self._values is not None:
            self._values.append(values)
        self._rows.append(row)

    def flush(self, older_than_s: float) -> None:
        """Write the chunk if its oldest row has been in memory for longer than this."""
        age_s = time.monotonic() - self._oldest_row_s
        if not self._rows.n_unwritten_rows or age_s < older_than_s:
            return
        if self._values is not None:
            self._values.flush()
        self._rows.flush()


def _describe_table(spec: tables.TableSpec) -> dict[str, Any]:
    """Return attributes that name and explain the columns."""
    docs = spec.column_docs
    return {
        "columns": list(spec.columns),
        "column_units": [doc.unit for doc in docs],
        "column_descriptions": [doc.description for doc in docs],
    }
