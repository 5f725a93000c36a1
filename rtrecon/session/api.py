"""Opens a recorded session for analysis: arrays with names, times and units.

>>> from rtrecon.session.api import open_session
>>> session = open_session(folder)
>>> session.about.neuron_ids
[7, 3, 12]
>>> session.activity.shape  # (encoder frames, neurons); nothing is read yet
(336, 3)
>>> session.activity[10:12]  # reads two rows
array([[ 7.,  3., 12.],
       [ 7.,  3., 12.]], dtype=float32)
>>> session.dff.to_xarray().sel(roi=3).mean().item()
-167.5
>>> session.movie().shape  # final images
(324, 36, 64)
>>> session.movie(lag_s=0.1)[0].dtype  # each image as it was when it was 0.1 s old
dtype('uint8')
>>> session.behavior["running_speed"][:4]
array([nan,  2., nan,  2.])
>>> session.masks[0].sum().item() > 0  # weight of each pixel of the first ROI
True
>>> session.notices  # sentences on what is damaged
[]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from rtrecon import config
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet
from rtrecon.session.about import About
from rtrecon.session.clock import SessionClock
from rtrecon.session.labeled_array import Coordinate, LabeledArray, LabeledTable
from rtrecon.session.message_tables import make_event_table, make_quality_table
from rtrecon.session.movie_reader import select_final_frames, select_frames_at_lag
from rtrecon.session.recorded_tables import make_recorded_table
from rtrecon.session.resume_state import get_reference_path, load_reference
from rtrecon.session.session import Session
from rtrecon.session.table import Table
from rtrecon.session.tables import FINAL_AGE, TRACE_NAMES, make_table_specs

_TRACES = {
    "fluorescence": ("counts", "Weighted mean of each ROI's pixels."),
    "neuropil": ("counts", "Mean of the ring around each ROI."),
    "dff": ("1", "Relative change of fluorescence after neuropil subtraction."),
}


def open_session(path: Path | str) -> RecordedSession:
    """Open a recorded session; `NotASessionError` if the folder holds none."""
    return RecordedSession(Session(Path(path)))


class RecordedSession:
    """A recorded session: lazy arrays and tables with names, times and units.

    The coordinate `time` of every array is in s since the session's start, as in an
    exported NWB file. Everything is numpy; `.to_xarray()` gives the same with labels.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._specs = make_table_specs(session.about)

    @property
    def path(self) -> Path:
        """The session's folder."""
        return self._session.path

    @property
    def about(self) -> About:
        """Constants of the session: ids, rates, settings, versions."""
        return self._session.about

    @property
    def notices(self) -> list[str]:
        """Sentences on what cannot be read: the table, the seconds lost, and why."""
        return self._session.notices

    @property
    def activity(self) -> LabeledArray:
        """Activity (encoder frames, neurons) float32, NaN where it was lost."""
        table, ids = self._session.activity, np.array(self.about.neuron_ids, np.int64)
        return self._make_encoder_array(
            "activity",
            table,
            ("neuron",),
            (len(ids),),
            {"neuron": Coordinate("neuron", ids)},
        )

    @property
    def fluorescence(self) -> LabeledArray:
        """Fluorescence (frames, ROIs) float32 in counts."""
        return self._make_trace("fluorescence")

    @property
    def neuropil(self) -> LabeledArray:
        """Neuropil (frames, ROIs) float32 in counts."""
        return self._make_trace("neuropil")

    @property
    def dff(self) -> LabeledArray:
        """dF/F (frames, ROIs) float32; NaN where the frame is of another plane."""
        return self._make_trace("dff")

    @property
    def stimulus(self) -> LabeledArray:
        """Stimulus (encoder frames, height, width) uint8."""
        table = self._session.stimulus
        return self._make_encoder_array(
            "stimulus",
            table,
            self._frame_dimensions,
            self.about.stimulus_space.shape,
            self._make_axis_coordinates(),
        )

    def movie(self, lag_s: float | None = None) -> LabeledArray:
        """Return the reconstructed movie (encoder frames, height, width) uint8.

        lag_s: each image as it was reconstructed when it was this old, in s; None = as
        it was when it would not change again.
        """
        table, rate_hz = self._session.movie, self.about.encoder_rate_hz
        if lag_s is None:
            frames = select_final_frames(table)
        else:
            frames = select_frames_at_lag(table, round(lag_s * rate_hz))
        return LabeledArray(
            "movie",
            ("time", *self._frame_dimensions),
            (len(frames), *self.about.stimulus_space.shape),
            self._level_unit,
            "Reconstructed movie.",
            frames.read_images,
            self._make_time_coordinates(frames.encoder_frames)
            | self._make_axis_coordinates(),
        )

    @property
    def movie_sd(self) -> LabeledArray:
        """Standard deviation (estimates, height, width) uint8 of the final movie.

        In gray levels, about twice per second; empty if the encoder is not calibrated
        for it.
        """
        table = self._session.spread
        return LabeledArray(
            "movie_sd",
            ("time", *self._frame_dimensions),
            (len(table), *self.about.stimulus_space.shape),
            self._level_unit,
            "Standard deviation of each pixel of the final reconstructed movie.",
            lambda start, stop: table.read_values(start, stop)[:, FINAL_AGE],
            self._make_time_coordinates(table["encoder_frame"].astype(np.int64))
            | self._make_axis_coordinates(),
        )

    @property
    def masks(self) -> LabeledArray:
        """Masks (ROIs, height, width) float32: the weight of each pixel in its ROI."""
        rois = self._load_rois()
        height, width = rois[0][1].shape
        ids = np.concatenate([roi_set.ids for _, roi_set in rois])
        planes = np.concatenate([np.full(len(r.ids), plane) for plane, r in rois])
        return LabeledArray(
            "masks",
            ("roi", "y", "x"),
            (len(ids), height, width),
            "1",
            "Weight of each pixel in each ROI, in the coordinates of the template.",
            lambda start, stop: _draw_masks([r for _, r in rois], start, stop),
            {"roi": Coordinate("roi", ids), "plane": Coordinate("roi", planes)},
        )

    @property
    def frames(self) -> LabeledTable:
        """One row per microscope frame: times, shift, quality control."""
        return self._make_table("frames")

    @property
    def behavior(self) -> LabeledTable:
        """One row per behavior sample: pupil and running speed."""
        return self._make_table("behavior")

    @property
    def sync(self) -> LabeledTable:
        """One row per edge of a digital line."""
        return self._make_table("sync")

    @property
    def onsets(self) -> LabeledTable | None:
        """One row per picture, where a photodiode saw it appear; None without one."""
        return self._make_table("onsets") if "onsets" in self._specs else None

    @property
    def quality(self) -> LabeledTable:
        """One row per published quality message: each live metric and its null."""
        return make_quality_table(self._session)

    @property
    def events(self) -> LabeledTable:
        """One row per published event."""
        return make_event_table(self._session)

    @cached_property
    def clock(self) -> SessionClock | None:
        """Conversion of all clocks to the session's time; None without any frame."""
        try:
            return SessionClock.from_session(self._session)
        except UserError:
            return None

    @property
    def dish(self) -> LabeledTable:
        """Counts of each picture of a dish, see `dish_tables.DishRow`."""
        return self._make_table("dish")

    @property
    def dish_bodies(self) -> LabeledTable:
        """Each cell body in each picture, see `dish_tables.DishBodyRow`."""
        return self._make_table("dish_bodies")

    @property
    def dish_contacts(self) -> LabeledTable:
        """Each touch in each picture, see `dish_tables.DishContactRow`."""
        return self._make_table("dish_contacts")

    @property
    def dish_events(self) -> LabeledTable:
        """Each event in a dish, see `dish_tables.DishEventRow`."""
        return self._make_table("dish_events")

    def list_tables(self) -> list[LabeledTable]:
        """Return every table that has rows, of measurements, messages and a dish."""
        tables = [self.frames, self.behavior, self.sync, self.quality, self.events]
        if self.about.dish is not None:
            tables += [self.dish, self.dish_bodies, self.dish_contacts]
            tables.append(self.dish_events)
        return [table for table in tables if len(table)]

    def _make_trace(self, name: str) -> LabeledArray:
        table, about = self._session.frames, self.about
        ids = np.array(about.roi_ids, np.int64)
        roi_planes = np.array(about.roi_planes or [0] * len(ids), np.int64)
        frame_planes = table["plane"].astype(np.int64)
        unit, description = _TRACES[name]
        trace = TRACE_NAMES.index(name)

        def read_rows(start: int, stop: int) -> Array:
            if not len(ids):
                return _read_nothing(start, stop)
            values = table.read_values(start, stop)[:, trace]
            return _spread_planes(values, frame_planes[start:stop], roi_planes)

        t_s = table["t_microscope_s"]
        time = self.clock.from_microscope(t_s) if self.clock else t_s
        return LabeledArray(
            name,
            ("time", "roi"),
            (len(table), len(ids)),
            unit,
            description,
            read_rows,
            {
                "time": Coordinate("time", time, "s"),
                "frame": Coordinate("time", table["frame"].astype(np.int64)),
                "roi": Coordinate("roi", ids),
                "plane": Coordinate("roi", roi_planes),
            },
        )

    def _make_encoder_array(
        self,
        name: str,
        table: Table,
        dimensions: tuple[str, ...],
        row_shape: tuple[int, ...],
        coordinates: dict[str, Coordinate],
    ) -> LabeledArray:
        values = self._specs[name].values
        times = self._make_time_coordinates(table["encoder_frame"].astype(np.int64))
        return LabeledArray(
            name,
            ("time", *dimensions),
            (len(table), *row_shape),
            values.unit if values else "",
            values.description if values else "",
            table.read_values if values else _read_nothing,
            times | coordinates,
        )

    @property
    def _frame_dimensions(self) -> tuple[str, str]:
        first, second = self.about.stimulus_space.axes
        return first.name, second.name

    @property
    def _level_unit(self) -> str:
        space = self.about.stimulus_space
        if space.is_picture:
            return "gray level (0 to 255)"
        low, high = space.level_limits
        return f"level (0 to 255: {low:g} to {high:g} {space.unit})"

    def _make_axis_coordinates(self) -> dict[str, Coordinate]:
        """Return positions on the axes of a frame; pictures need none."""
        space = self.about.stimulus_space
        if space.is_picture:
            return {}
        return {
            axis.name: Coordinate(
                axis.name,
                np.array(axis.labels) if axis.labels else axis.positions,
                axis.unit,
            )
            for axis in space.axes
        }

    def _make_time_coordinates(self, encoder_frames: Array) -> dict[str, Coordinate]:
        first_frame_s = self.clock.first_frame_s if self.clock else 0.0
        time = encoder_frames / self.about.encoder_rate_hz + first_frame_s
        return {
            "time": Coordinate("time", time, "s"),
            "encoder_frame": Coordinate("time", encoder_frames),
        }

    def _make_table(self, name: str) -> LabeledTable:
        getattr(self._session, name)  # raises where the session has no such table
        spec = self._specs[name]
        return make_recorded_table(self._session, name, spec, self.clock)

    def _load_rois(self) -> list[tuple[int, RoiSet]]:
        """Return the masks of each plane; UserError if they cannot be read."""
        settings = config.parse(json.dumps(self.about.settings))
        return [
            (
                plane,
                load_reference(get_reference_path(self.path, plane), settings)[
                    0
                ].masks.cells,
            )
            for plane in range(1 + max(self.about.roi_planes, default=0))
        ]


def _read_nothing(start: int, stop: int) -> Array:
    """Return rows of a session without neurons."""
    return np.empty((stop - start, 0), np.float32)


def _spread_planes(values: Array, frame_planes: Array, roi_planes: Array) -> Array:
    """Return (frames, all ROIs): NaN where a ROI is not in the frame's plane."""
    spread = np.full((len(values), len(roi_planes)), np.nan, np.float32)
    for plane in np.unique(frame_planes):
        rows, columns = frame_planes == plane, np.flatnonzero(roi_planes == plane)
        spread[np.ix_(rows, columns)] = values[rows, : len(columns)]
    return spread


def _draw_masks(rois: Sequence[RoiSet], start: int, stop: int) -> Array:
    """Return the masks of ROIs start:stop, (n, height, width)."""
    pixels = [mask for roi_set in rois for mask in roi_set.list_pixels()][start:stop]
    masks = np.zeros((len(pixels), *rois[0].shape), np.float32)
    for mask, (rows, cols, weights) in zip(masks, pixels, strict=True):
        mask[rows, cols] = weights
    return masks
