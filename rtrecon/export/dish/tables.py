"""Tables of a traced dish as CSV: bodies, neurites, touches, events and counts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rtrecon.core.files import write_atomically
from rtrecon.dish.dish_frame import DishFrame

_SECONDS_PER_HOUR = 3600.0
_COUNT_COLUMNS = (
    "frame",
    "time_h",
    "is_traced",
    "is_dense",
    "bodies",
    "contacts",
    "branch_points",
    "length_um",
    "area_mm2",
    "length_mm_per_mm2",
    "branch_points_per_mm2",
    "reason",
)
_EVENT_COLUMNS = ("frame", "time_h", "start_frame", "kind", "y", "x", "first", "second")
_TABLES = ("bodies", "segments", "contacts")


def write_tables(folder: Path, frames: Sequence[DishFrame]) -> list[Path]:
    """Write one CSV file per table into a folder; return their paths.

    Positions are in px of the registered film, times in hours since its start. Pictures
    that were not traced are only in counts.csv, with the reason.
    """
    contents = {name: _list_rows(name, frames) for name in _TABLES}
    contents["counts"] = iter([_COUNT_COLUMNS, *map(_list_counts, frames)])
    contents["events"] = iter([_EVENT_COLUMNS, *_list_events(frames)])
    paths = []
    for name, rows in contents.items():
        paths.append(folder / f"{name}.csv")
        write_atomically(paths[-1], _format_csv(rows))
    return paths


def _list_rows(name: str, frames: Sequence[DishFrame]) -> Iterator[Sequence[object]]:
    """Yield the names of the columns, then the rows of all traced frames."""
    is_first = True
    for frame in frames:
        table = getattr(frame, name)
        if is_first:
            yield ("frame", "time_h", *table.dtype.names)
            is_first = False
        if frame.is_traced:
            for row in table.tolist():
                yield (frame.frame, _hours(frame), *row)


def _list_counts(frame: DishFrame) -> Sequence[object]:
    figures = frame.figures
    start = (frame.frame, _hours(frame), frame.is_traced, frame.is_dense)
    if not frame.is_traced:
        return (*start, *[""] * 7, frame.notices[0] if frame.notices else "")
    return (
        *start,
        figures.n_bodies,
        figures.n_contacts,
        figures.n_branch_points,
        figures.length_um,
        figures.area_mm2,
        figures.length_mm_per_mm2,
        figures.branch_points_per_mm2,
        "",
    )


def _list_events(frames: Iterable[DishFrame]) -> Iterator[Sequence[object]]:
    for frame in frames:
        for event in frame.events:
            yield (
                event.frame,
                _hours(frame),
                event.start_frame,
                event.kind.value,
                event.y,
                event.x,
                event.first,
                event.second,
            )


def _hours(frame: DishFrame) -> float:
    return frame.t_s / _SECONDS_PER_HOUR


def _format_csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in row])
    return text.getvalue()
