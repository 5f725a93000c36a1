"""What the neurons did: fluorescence, neuropil, dF/F and deconvolved activity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pynwb import TimeSeries
from pynwb.base import ProcessingModule
from pynwb.ophys import DfOverF, Fluorescence, RoiResponseSeries

from rtrecon.core.types import Array
from rtrecon.export.clock import Clock, regular
from rtrecon.export.imaging import Imaged
from rtrecon.export.streams import Read, rows
from rtrecon.session import tables
from rtrecon.session.session import Session
from rtrecon.session.table import Table

_DECONVOLVED = "deconvolved activity, dF/F per image, on the encoder's time base"
_UNITS = {"cell": "counts", "neuropil": "counts", "dff": "n.a."}
_DESCRIPTIONS = {
    "cell": "weighted mean of the cell's pixels",
    "neuropil": "mean of the ring around the cell",
    "dff": "relative change of fluorescence, neuropil taken off",
}

Told = Callable[[str, float], None]


@dataclass(frozen=True)
class Traces:
    """What the images said, as it is written: what happened when, told on the way."""

    session: Session
    clock: Clock
    told: Told

    def add(self, module: ProcessingModule, imaged: list[Imaged]) -> None:
        """Add everything of every plane."""
        cells, relative = Fluorescence(), DfOverF()
        spikes = Fluorescence(name="Deconvolved")
        # Into the file first: a series looks there for the masks it is of.
        for box in (cells, relative, spikes):
            module.add(box)
        for own in imaged:
            for name in tables.TRACES:
                box = relative if name == "dff" else cells
                box.add_roi_response_series(self._trace(name, own))
            spikes.add_roi_response_series(self._deconvolved(own))

    def add_unmasked(self, module: ProcessingModule) -> None:
        """Add the activity of a session whose neurons' masks are not known."""
        table, ids = self.session.activity, self.session.about.neuron_ids
        module.add(
            TimeSeries(
                name="activity",
                description=_DECONVOLVED,
                comments=f"one column per neuron; their ids: {ids}",
                data=rows(
                    (len(table), len(ids)),
                    "<f4",
                    table.values,
                    self._report("activity"),
                ),
                unit="n.a.",
                **regular(self.clock.of_encoder(table["index"])),
            )
        )

    def _trace(self, name: str, own: Imaged) -> RoiResponseSeries:
        frames = self.session.frames
        places = np.flatnonzero(frames["plane"] == own.number)
        label = f"{name}_plane{own.number}"
        shape = (len(places), len(own.masks))
        read = _trace_of_plane(frames, places, tables.TRACES.index(name), shape[1])
        return RoiResponseSeries(
            name=label,
            description=_DESCRIPTIONS[name],
            data=rows(shape, "<f4", read, self._report(label)),
            unit=_UNITS[name],
            rois=_region(own, np.arange(len(own.masks))),
            **regular(self.clock.of_microscope(frames["t"][places])),
        )

    def _deconvolved(self, own: Imaged) -> RoiResponseSeries:
        activity = self.session.activity
        table_ids = np.asarray(own.masks.id[:])
        ids = np.array(self.session.about.neuron_ids)
        columns = np.flatnonzero(np.isin(ids, table_ids))
        order = np.argsort(table_ids)
        found = order[np.searchsorted(table_ids, ids[columns], sorter=order)]
        label = f"deconvolved_plane{own.number}"

        def read(start: int, stop: int) -> Array:
            return activity.values(start, stop)[:, columns]

        shape = (len(activity), len(columns))
        return RoiResponseSeries(
            name=label,
            description=_DECONVOLVED,
            data=rows(shape, "<f4", read, self._report(label)),
            unit="n.a.",
            rois=_region(own, found),
            **regular(self.clock.of_encoder(activity["index"])),
        )

    def _report(self, stage: str) -> Callable[[float], None]:
        return lambda share: self.told(stage, share)


def _trace_of_plane(frames: Table, places: Array, trace: int, n_roi: int) -> Read:
    """Return what reads one trace of the rows at these places."""

    def read(start: int, stop: int) -> Array:
        own = places[start:stop]
        values = frames.values(int(own[0]), int(own[-1]) + 1)
        wanted: Array = values[own - own[0], trace, :n_roi]
        return wanted

    return read


def _region(own: Imaged, places: Array) -> object:
    return own.masks.create_roi_table_region("the neurons", region=places.tolist())
