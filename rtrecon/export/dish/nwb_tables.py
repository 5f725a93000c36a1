"""Neurons in a dish in NWB: their tables, the pictures, and whose each pixel is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hdmf.common import DynamicTable, VectorData
from pynwb import NWBFile
from pynwb.base import ProcessingModule
from pynwb.image import ImageSeries

from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.export.series_data import RowReader, describe_times, stream_rows
from rtrecon.session.api import RecordedSession
from rtrecon.session.clock import SessionClock
from rtrecon.session.labeled_array import LabeledTable
from rtrecon.session.session import Session
from rtrecon.session.table import Table

_DESCRIPTIONS = {
    "dish": "counts of each picture: bodies, touches, length of neurites",
    "dish_bodies": "each cell body in each picture, with the length of its neurites",
    "dish_contacts": "each touch of two neurons in each picture",
    "dish_events": "touches that form and end, retractions, new bodies and deaths",
}
_NAMES = {"id": "contact"}  # columns whose name NWB needs for the rows
_PICTURES = "registered picture, reduced in size, with its own contrast"
_OWNERS = (
    "number of the neuron whose neurite or body each pixel is: 0 = none, 65534 = "
    "nothing is claimed, 65535 = a neurite that belongs to no body"
)


def add_dish(
    file: NWBFile, session: Session, clock: SessionClock, on_progress: ProgressCallback
) -> None:
    """Add tables, pictures and owners of a session of a dish."""
    dish = session.about.dish
    assert dish is not None
    module = file.create_processing_module(
        "dish", f"neurons in a dish, traced; {dish.um_per_px:g} um per pixel"
    )
    tables = {table.name: table for table in RecordedSession(session).list_tables()}
    for name, description in _DESCRIPTIONS.items():
        if name in tables:
            module.add(_make_table(tables[name], description))
    writer = _ImageWriter(module, clock, on_progress)
    for plane in range(dish.n_planes):
        writer.add_images(session.dish, plane, ("pictures", _PICTURES))
        writer.add_images(session.dish_traces, plane, ("owners", _OWNERS))


def _make_table(table: LabeledTable, description: str) -> DynamicTable:
    """Return a table of NWB; units are at the end of the columns' descriptions."""
    columns = [
        VectorData(
            name=_NAMES.get(name, name),
            description=_describe_column(table, name),
            data=np.asarray(table[name], _choose_type(table[name])),
        )
        for name in table.columns
    ]
    return DynamicTable(name=table.name, description=description, columns=columns)


def _choose_type(values: Array) -> type | np.dtype:
    return object if values.dtype.kind == "U" else values.dtype


def _describe_column(table: LabeledTable, name: str) -> str:
    unit, description = table.units.get(name, ""), table.descriptions[name]
    return f"{description.removesuffix('.')}, in {unit}." if unit else description


class _ImageWriter:
    """Adds a series of images for each stage position to an NWB module."""

    def __init__(
        self,
        module: ProcessingModule,
        clock: SessionClock,
        on_progress: ProgressCallback,
    ) -> None:
        self._module, self._clock, self._on_progress = module, clock, on_progress

    def add_images(self, table: Table, plane: int, title: tuple[str, str]) -> None:
        """Add the values of a table. title: name and description."""
        rows = np.flatnonzero(table["plane"] == plane)
        if not len(rows):
            return
        name = f"{title[0]}_plane{plane}"
        (first,) = table.read_values(0, 1)
        # NWB stores images as [frame, x, y].
        data = stream_rows(
            (len(rows), *first.T.shape),
            first.dtype.str,
            _make_image_reader(table, rows),
            self._make_progress(name),
        )
        t_s = self._clock.from_microscope(table["t_microscope_s"][rows])
        self._module.add(
            ImageSeries(
                name=name,
                description=f"{title[1]}: [frame, x, y]",
                data=data,
                unit="n.a.",
                **describe_times(t_s),
            )
        )

    def _make_progress(self, name: str) -> Callable[[float], None]:
        return lambda done: self._on_progress(name, done, f"{done:.0%}")


def _make_image_reader(table: Table, rows: Array) -> RowReader:
    """Return what reads the images at these rows of the table, as [frame, x, y]."""

    def read(start: int, stop: int) -> Array:
        chosen = rows[start:stop]
        images = table.read_values(int(chosen[0]), int(chosen[-1]) + 1)
        return np.asarray(images[chosen - chosen[0]].swapaxes(1, 2))

    return read
