"""Recorded data with names: dimensions, coordinates, units; read when it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Coordinate:
    """What belongs to each element of one dimension: a time, an id, a plane."""

    dimension: str
    values: Array
    unit: str = ""


@dataclass(frozen=True)
class LabeledArray:
    """An array on disk; `array[2:5]` or `array[7]` reads only those rows.

    dimensions: a name for each axis. coordinates: by name. read_rows: returns rows
    start:stop.
    """

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    unit: str
    description: str
    read_rows: Callable[[int, int], Array]
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        """Read rows by a number or a slice; further indices apply to these rows."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, (int, np.integer)):
            row = range(len(self))[first]
            selected: Array = self.read_rows(row, row + 1)[0][tuple(rest)]
            return selected
        if isinstance(first, slice) and first.step in (None, 1):
            start, stop, _ = first.indices(len(self))
            rows = self.read_rows(start, max(start, stop))
            selected = rows[(slice(None), *rest)]
            return selected
        selected = self.to_numpy()[key]
        return selected

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.to_numpy(), dtype)

    def to_numpy(self) -> Array:
        """Read everything."""
        return self.read_rows(0, len(self))

    def to_xarray(self) -> xarray.DataArray:
        """Read everything as an xarray.DataArray with its coordinates and units."""
        xr = _import_xarray()
        coordinates = {
            name: (c.dimension, c.values, {"units": c.unit} if c.unit else {})
            for name, c in self.coordinates.items()
        }
        return xr.DataArray(
            self.to_numpy(),
            coords=coordinates,
            dims=self.dimensions,
            name=self.name,
            attrs={"units": self.unit, "long_name": self.description},
        )


@dataclass(frozen=True)
class LabeledTable:
    """A table in memory: `table["column"]` is (n,).

    units, descriptions: by column. row_dimension: name of the rows' axis.
    """

    name: str
    row_dimension: str
    make_columns: Callable[[], dict[str, Array]]
    units: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __getitem__(self, column: str) -> Array:
        return self._columns[column]

    def to_numpy(self) -> Array:
        """Return all columns as a structured array (n,), one field per column."""
        types = [(name, values.dtype) for name, values in self._columns.items()]
        table = np.empty(len(self), types)
        for name, values in self._columns.items():
            table[name] = values
        return table

    def to_xarray(self) -> xarray.Dataset:
        """Return all columns as an xarray.Dataset with units."""
        xr = _import_xarray()
        variables = {
            name: (self.row_dimension, values, self._describe(name))
            for name, values in self._columns.items()
        }
        return xr.Dataset(variables, attrs={"name": self.name})

    def to_pandas(self) -> Any:
        """Return all columns as a pandas.DataFrame."""
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise UserError(
                "to_pandas needs pandas, which comes with xarray: pip install "
                "rtrecon[xarray], then try again"
            ) from None
        return pd.DataFrame(self._columns)

    def _describe(self, column: str) -> dict[str, str]:
        attributes = {
            "units": self.units.get(column, ""),
            "long_name": self.descriptions.get(column, ""),
        }
        return {name: text for name, text in attributes.items() if text}

    @cached_property
    def _columns(self) -> dict[str, Array]:
        return self.make_columns()


def _import_xarray() -> Any:
    try:
        import xarray
    except ModuleNotFoundError:
        raise UserError(
            "to_xarray needs xarray: pip install rtrecon[xarray], then try again"
        ) from None
    return xarray
