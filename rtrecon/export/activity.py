"""Activity of the neurons in NWB: fluorescence, neuropil, dF/F and deconvolved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pynwb import TimeSeries
from pynwb.base import ProcessingModule
from pynwb.ophys import DfOverF, Fluorescence, RoiResponseSeries

from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.export.imaging import ImagedPlane
from rtrecon.export.series_data import RowReader, describe_times, stream_rows
from rtrecon.session.clock import SessionClock
from rtrecon.session.session import Session
from rtrecon.session.table import Table
from rtrecon.session.tables import TRACE_NAMES

_DECONVOLVED = "deconvolved activity, dF/F per frame, at each encoder frame"
_UNITS = {"fluorescence": "counts", "neuropil": "counts", "dff": "n.a."}
_DESCRIPTIONS = {
    "fluorescence": "weighted mean of the cell's pixels",
    "neuropil": "mean of the ring around the cell",
    "dff": "relative change of fluorescence after neuropil subtraction",
}


@dataclass(frozen=True)
class ActivityWriter:
    """Adds the session's traces and activity to an NWB module."""

    session: Session
    clock: SessionClock
    on_progress: ProgressCallback

    def add_planes(self, module: ProcessingModule, planes: list[ImagedPlane]) -> None:
        """Add traces and activity of every plane, linked to the neurons' masks."""
        raw, relative = Fluorescence(), DfOverF()
        # The boxes go into the file first: a series looks there for its masks.
        module.add(raw)
        module.add(relative)
        for plane in planes:
            if plane.index not in self.session.frames["plane"]:
                continue
            for name in TRACE_NAMES:
                box = relative if name == "dff" else raw
                box.add_roi_response_series(self._make_trace(name, plane))
        if not len(self.session.activity):
            return
        deconvolved = Fluorescence(name="Deconvolved")
        module.add(deconvolved)
        for plane in planes:
            deconvolved.add_roi_response_series(self._make_deconvolved(plane))

    def add_without_masks(self, module: ProcessingModule) -> None:
        """Add the activity of a session whose masks are unknown."""
        table, ids = self.session.activity, self.session.about.neuron_ids
        if not len(table):
            return
        read, report = table.read_values, self._report_stage("activity")
        module.add(
            TimeSeries(
                name="activity",
                description=_DECONVOLVED,
                comments=f"one column per neuron; their ids: {ids}",
                data=stream_rows((len(table), len(ids)), "<f4", read, report),
                unit="n.a.",
                **describe_times(self.clock.from_encoder_frame(table["encoder_frame"])),
            )
        )

    def _make_trace(self, name: str, plane: ImagedPlane) -> RoiResponseSeries:
        frames = self.session.frames
        rows = np.flatnonzero(frames["plane"] == plane.index)
        label = f"{name}_plane{plane.index}"
        shape = (len(rows), len(plane.masks))
        read = _make_trace_reader(frames, rows, TRACE_NAMES.index(name), shape[1])
        t_s = self.clock.from_microscope(frames["t_microscope_s"][rows])
        return RoiResponseSeries(
            name=label,
            description=_DESCRIPTIONS[name],
            data=stream_rows(shape, "<f4", read, self._report_stage(label)),
            unit=_UNITS[name],
            rois=_link_rois(plane, np.arange(len(plane.masks))),
            **describe_times(t_s),
        )

    def _make_deconvolved(self, plane: ImagedPlane) -> RoiResponseSeries:
        activity = self.session.activity
        mask_ids = np.asarray(plane.masks.id[:])
        ids = np.array(self.session.about.neuron_ids)
        columns = np.flatnonzero(np.isin(ids, mask_ids))
        order = np.argsort(mask_ids)
        mask_rows = order[np.searchsorted(mask_ids, ids[columns], sorter=order)]
        label = f"deconvolved_plane{plane.index}"

        def read(start: int, stop: int) -> Array:
            return activity.read_values(start, stop)[:, columns]

        shape = (len(activity), len(columns))
        return RoiResponseSeries(
            name=label,
            description=_DECONVOLVED,
            data=stream_rows(shape, "<f4", read, self._report_stage(label)),
            unit="n.a.",
            rois=_link_rois(plane, mask_rows),
            **describe_times(self.clock.from_encoder_frame(activity["encoder_frame"])),
        )

    def _report_stage(self, stage: str) -> Callable[[float], None]:
        return lambda done: self.on_progress(stage, done, f"{done:.0%}")


def _make_trace_reader(
    frames: Table, rows: Array, trace_index: int, n_rois: int
) -> RowReader:
    """Return what reads one trace at these rows of the table."""

    def read(start: int, stop: int) -> Array:
        wanted = rows[start:stop]
        values = frames.read_values(int(wanted[0]), int(wanted[-1]) + 1)
        trace: Array = values[wanted - wanted[0], trace_index, :n_rois]
        return trace

    return read


def _link_rois(plane: ImagedPlane, mask_rows: Array) -> object:
    return plane.masks.create_roi_table_region("neurons", region=mask_rows.tolist())
