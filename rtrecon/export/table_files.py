"""Tables of a recorded session as CSV or Parquet files, one file per table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically
from rtrecon.core.types import Array
from rtrecon.session.labeled_array import LabeledTable

COLUMNS_FILE = "columns.csv"
_BLOCK_ROWS = 10_000  # converted at a time


def write_csv_tables(folder: Path, tables: Sequence[LabeledTable]) -> list[Path]:
    """Write each table as NAME.csv, and `columns.csv`, which explains every column.

    An unknown value is empty. Raises `UserError` if the folder cannot be written.
    """
    paths = [
        _write_file(folder / f"{table.name}.csv", _make_csv_writer(table))
        for table in tables
    ]
    rows = [
        (table.name, column, table.units.get(column, ""), table.descriptions[column])
        for table in tables
        for column in table.columns
    ]

    def write_columns(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("table", "column", "unit", "description"))
            writer.writerows(rows)

    return [*paths, _write_file(folder / COLUMNS_FILE, write_columns)]


def write_parquet_tables(folder: Path, tables: Sequence[LabeledTable]) -> list[Path]:
    """Write each table as NAME.parquet; each column carries `unit`, `description`.

    Raises `UserError` without pyarrow, or if the folder cannot be written.
    """
    pa, parquet = _import_pyarrow()

    def make_writer(table: LabeledTable) -> Callable[[Path], None]:
        arrays = [pa.array(table[name]) for name in table.columns]
        fields = [
            pa.field(name, array.type, metadata=_describe_column(table, name))
            for name, array in zip(table.columns, arrays, strict=True)
        ]
        contents = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
        return lambda path: parquet.write_table(contents, str(path))

    return [
        _write_file(folder / f"{table.name}.parquet", make_writer(table))
        for table in tables
    ]


def _make_csv_writer(table: LabeledTable) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        columns = [table[name] for name in table.columns]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.columns)
            for start in range(0, len(table), _BLOCK_ROWS):
                block = slice(start, start + _BLOCK_ROWS)
                texts = [_format_column(column[block]) for column in columns]
                writer.writerows(zip(*texts, strict=True))

    return write


def _format_column(values: Array) -> list[object]:
    """Return the values as csv writes them: booleans as 1 and 0, NaN as nothing."""
    if values.dtype.kind == "b":
        return list(values.astype(np.int64).tolist())
    if values.dtype.kind != "f":
        return list(values.tolist())
    return ["" if value != value else value for value in values.tolist()]


def _describe_column(table: LabeledTable, column: str) -> dict[str, str]:
    texts = {
        "unit": table.units.get(column, ""),
        "description": table.descriptions.get(column, ""),
    }
    return {name: text for name, text in texts.items() if text}


def _write_file(path: Path, write: Callable[[Path], None]) -> Path:
    """Write a file that exists under its name only when it is complete."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_atomically(path) as temporary:
            write(Path(temporary))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error}") from None
    return path


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise UserError(
            "Parquet needs pyarrow: pip install rtrecon[parquet], then try again"
        ) from None
    return pyarrow, parquet
