"""One table of a recording, read: columns in memory, values as they are asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr

from rtrecon.core.types import Array
from rtrecon.session.growing_array import open_intact


class Table:
    """One table of a recording as it was when it was opened.

    `table["column"]` is (n,) float64; `values(start, stop)` what those rows measured.
    """

    def __init__(self, folder: Path) -> None:
        columns = zarr.open_group(folder, mode="r").attrs["columns"]
        self.columns = cast("list[str]", columns)
        self._rows, self._length = open_intact(folder / "rows")
        self._values: zarr.Array[Any] | None = None
        if (folder / "values").exists():
            self._values, n_values = open_intact(folder / "values")
            self._length = min(self._length, n_values)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, column: str) -> Array:
        return self.rows[:, self.columns.index(column)]

    def values(self, start: int = 0, stop: int | None = None) -> Array:
        """Read rows start:stop of the values, (n, ...)."""
        if self._values is None:
            raise ValueError("this table has columns only, no values")
        stop = self._length if stop is None else min(stop, self._length)
        return np.asarray(self._values[start:stop])

    @cached_property
    def rows(self) -> Array:
        """All columns of all rows, (n, columns) float64."""
        return np.asarray(self._rows[: self._length])
