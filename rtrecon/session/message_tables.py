"""Published messages of a recorded session as tables with one column per field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_type_hints

import msgspec
import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.live_metrics import quality_series
from rtrecon.protocol import messages
from rtrecon.session.field_docs import describe_fields
from rtrecon.session.labeled_array import LabeledTable
from rtrecon.session.session import Session

_HEADER_FIELDS = ("session", "seq", "v")
_NUMBERS = (bool, int, float, int | None, float | None)


def make_quality_table(session: Session) -> LabeledTable:
    """Return one row per quality message; each live metric and null is a column."""

    def make_columns() -> dict[str, Array]:
        columns = _collect_columns(session.quality, messages.Quality)
        for series in quality_series():
            values = [q.metrics.get(series.name, np.nan) for q in session.quality]
            columns[series.name] = np.array(values, float)
        return columns

    metrics = {series.name: series.description for series in quality_series()}
    return _label_messages(
        ("quality", "report"), messages.Quality, make_columns, metrics
    )


def make_event_table(session: Session) -> LabeledTable:
    """Return one row per event."""
    return _label_messages(
        ("events", "event"),
        messages.Event,
        lambda: _collect_columns(session.events, messages.Event),
    )


def _label_messages(
    names: tuple[str, str],
    message_class: type[msgspec.Struct],
    make_columns: Callable[[], dict[str, Array]],
    more_descriptions: dict[str, str] | None = None,
) -> LabeledTable:
    """Return a table. names: of the table and of its row dimension."""
    docs = describe_fields(message_class)
    descriptions = {doc.name: doc.description for doc in docs}
    return LabeledTable(
        *names,
        make_columns,
        {doc.name: doc.unit for doc in docs},
        descriptions | (more_descriptions or {}),
    )


def _collect_columns(
    decoded: Sequence[msgspec.Struct], message_class: type[msgspec.Struct]
) -> dict[str, Array]:
    """Return the fields of messages that are numbers or texts, one column each."""
    columns = {}
    hints = get_type_hints(message_class)
    for name in message_class.__struct_fields__:
        values = [getattr(message, name) for message in decoded]
        if name in _HEADER_FIELDS:
            continue
        if hints[name] is str:
            columns[name] = np.array(values, np.str_)
        elif hints[name] in _NUMBERS:
            columns[name] = np.array(
                [np.nan if v is None else v for v in values], float
            )
    return columns
