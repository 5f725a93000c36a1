"""Recorded tables with the type, unit and description of each column."""

from __future__ import annotations

from typing import get_type_hints

import msgspec
import numpy as np

from rtrecon.core.types import Array
from rtrecon.session.clock import SessionClock
from rtrecon.session.dish_tables import DishEventRow, DishKey
from rtrecon.session.labeled_array import LabeledTable
from rtrecon.session.session import Session
from rtrecon.session.table import Table
from rtrecon.session.tables import TableSpec

_INTEGER_TYPES: dict[type, type] = {int: np.int64, bool: np.bool_}
_TIME = "time_s"
_TIME_DESCRIPTION = "Time since the session's start."


def make_recorded_table(
    session: Session, name: str, spec: TableSpec, clock: SessionClock | None
) -> LabeledTable:
    """Return a table of a session; `UserError` if the session has no such table.

    Tables of a dish have one more column, the time since the session's start, and
    their events have words for what happened. clock: None = times are those of the
    microscope.
    """
    table: Table = getattr(session, name)
    units = {doc.name: doc.unit for doc in spec.column_docs}
    descriptions = {doc.name: doc.description for doc in spec.column_docs}
    is_dish = issubclass(spec.row_type, DishKey)
    if is_dish:
        units[_TIME], descriptions[_TIME] = "s", _TIME_DESCRIPTION
    if spec.row_type is DishEventRow:
        descriptions["kind"] = "What happened."

    def make_columns() -> dict[str, Array]:
        columns = _read_columns(table, spec.row_type)
        if not is_dish:
            return columns
        if spec.row_type is DishEventRow:
            columns["kind"] = _name_kinds(session, columns["kind"])
        t_s = columns["t_microscope_s"]
        return {_TIME: clock.from_microscope(t_s) if clock else t_s, **columns}

    return LabeledTable(name, spec.row_dimension, make_columns, units, descriptions)


def _read_columns(table: Table, row_type: type[msgspec.Struct]) -> dict[str, Array]:
    """Return the columns, in the type that the rows have."""
    hints = get_type_hints(row_type)
    return {
        name: table[name].astype(_INTEGER_TYPES.get(hints[name], np.float64))
        for name in table.columns
    }


def _name_kinds(session: Session, kinds: Array) -> Array:
    """Return the names of these kinds of events."""
    dish = session.about.dish
    assert dish is not None
    return np.array([dish.event_kinds[kind] for kind in kinds.tolist()], np.str_)
