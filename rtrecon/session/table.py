"""One table of a recorded session, read: columns in memory, values on request."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from rtrecon.core.types import Array
from rtrecon.session.growing_array import (
    find_consecutive_runs,
    find_damaged_rows,
    read_intact_rows,
)
from rtrecon.session.tables import TableSpec

_UNREADABLE = (OSError, ValueError, KeyError, TypeError)


class Table:
    """One table of a session, as it was on disk when it was opened.

    `table["column"]` is (n,) float64; `read_values(start, stop)` is what was measured
    at those rows. Rows that cannot be read are left out. Values that cannot be read are
    NaN, or left out with their rows if they are integers. `notices` says how much is
    lost and why, in sentences. Values whose checksum is wrong are found only when they
    are read, and are NaN, or 0 if they are integers; `notices` then says so.
    """

    def __init__(self, folder: Path, name: str, spec: TableSpec) -> None:
        self.name = name
        self.columns = list(spec.columns)
        self.notices: list[str] = []
        self._spec = spec
        self._altered: set[int] = set()  # rows whose values have a wrong checksum
        self._rows = _open_array(
            folder / "rows", (len(self.columns),), is_thorough=True
        )
        self._values = _OpenedArray()
        is_usable = ~self._rows.is_damaged
        self._has_value = np.ones(len(is_usable), bool)
        if spec.values is not None:
            self._values = _open_array(folder / "values", spec.values.shape)
            self._has_value = _fit_length(~self._values.is_damaged, len(is_usable))
        self._note_lost_rows(is_usable)
        if self._has_integer_values:
            is_usable &= self._has_value
        self._indices = np.flatnonzero(is_usable)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, column: str) -> Array:
        return self.rows[:, self.columns.index(column)]

    @cached_property
    def rows(self) -> Array:
        """All columns of all rows, (n, columns) float64."""
        rows = np.empty((len(self), len(self.columns)))
        return _read_runs(self._rows.array, self._indices, rows)

    def read_values(self, start: int = 0, stop: int | None = None) -> Array:
        """Read the values of rows start:stop, (n, ...); ValueError without values."""
        spec = self._spec.values
        if spec is None:
            raise ValueError(f"table {self.name} has columns only, no values")
        indices = self._indices[start:stop]
        fill_value = np.nan if np.dtype(spec.dtype).kind == "f" else 0
        values = np.full((len(indices), *spec.shape), fill_value, spec.dtype)
        has_value = self._has_value[indices]
        if has_value.all():
            return self._read_intact_values(indices, values)
        values[has_value] = self._read_intact_values(
            indices[has_value], values[has_value]
        )
        return values

    def check_values(self) -> None:
        """Compare all values with their checksums; `notices` then names all damage.

        Reads every chunk once, without keeping it.
        """
        array = self._values.array
        if array is None:
            return
        is_altered = find_damaged_rows(array, self._values.folder, is_thorough=True)
        is_altered = _fit_length(is_altered, len(self._has_value)) & self._has_value
        self._note_altered_values(self._indices[is_altered[self._indices]])

    def _read_intact_values(self, indices: Array, out: Array) -> Array:
        array = self._values.array
        for run in find_consecutive_runs(indices):
            assert array is not None
            rows = slice(int(indices[run.start]), int(indices[run.stop - 1]) + 1)
            is_damaged = read_intact_rows(array, rows, out[run])
            self._note_altered_values(indices[run][is_damaged])
        return out

    def _note_altered_values(self, indices: Array) -> None:
        """Write a sentence for values whose checksum is wrong, once for each row."""
        is_new = ~np.isin(indices, np.fromiter(self._altered, np.int64))
        self._altered.update(indices[is_new].tolist())
        if n_lost := int(np.sum(is_new)):
            fate = "0" if self._has_integer_values else "NaN"
            n = n_lost, len(self._has_value)
            self._note("values", n, "the checksum of their chunks is wrong", fate)

    @property
    def _has_integer_values(self) -> bool:
        values = self._spec.values
        return values is not None and np.dtype(values.dtype).kind != "f"

    def _note_lost_rows(self, is_readable: Array) -> None:
        """Write a sentence for rows, and one for values, that cannot be read."""
        if self._rows.array is None:
            n_rows = n_lost = len(self._values.is_damaged)  # as far as known
        else:
            n_rows, n_lost = len(is_readable), int(np.sum(~is_readable))
        if n_lost or self._rows.array is None:
            self._note("rows", (n_lost, n_rows), self._rows.reason, "left out")
        n_lost = int(np.sum(is_readable & ~self._has_value))
        if n_lost:
            fate = "left out" if self._has_integer_values else "NaN"
            self._note("values", (n_lost, n_rows), self._values.reason, fate)

    def _note(self, what: str, n: tuple[int, int], reason: str, fate: str) -> None:
        n_lost, n_rows = n
        extent = f"{n_lost / self._spec.rate_hz:.1f} s ({n_lost} of {n_rows} rows)"
        if not n_rows:
            extent = "the whole session"  # how many there were is not known
        self.notices.append(
            f"{self.name}: {what} of {extent} cannot be read, because {reason}; they "
            f"are {fate}"
        )


@dataclass(frozen=True)
class _OpenedArray:
    """An array on disk, None if it cannot be opened, and which rows are damaged."""

    folder: Path = Path()
    array: zarr.Array[Any] | None = None
    is_damaged: Array = field(default_factory=lambda: np.empty(0, bool))
    reason: str = "chunks are missing or damaged"


def _open_array(
    folder: Path, row_shape: tuple[int, ...], *, is_thorough: bool = False
) -> _OpenedArray:
    try:
        array = zarr.open_array(folder, mode="r")
        if array.shape[1:] != row_shape:
            raise ValueError(f"its rows have shape {array.shape[1:]}, not {row_shape}")
        is_damaged = find_damaged_rows(array, folder, is_thorough=is_thorough)
        return _OpenedArray(folder, array, is_damaged)
    except _UNREADABLE as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        return _OpenedArray(reason=f"{folder / 'zarr.json'} cannot be read: {cause}")


def _fit_length(flags: Array, length: int) -> Array:
    """Return flags cut, or filled up with False, to a length."""
    fitted = np.zeros(length, bool)
    fitted[: min(length, len(flags))] = flags[:length]
    return fitted


def _read_runs(array: zarr.Array[Any] | None, indices: Array, out: Array) -> Array:
    """Read rows of an array into `out`, a run of consecutive rows at a time."""
    for run in find_consecutive_runs(indices):
        first, last = int(indices[run.start]), int(indices[run.stop - 1])
        assert array is not None
        out[run] = array[first : last + 1]
    return out
