"""A recorded session as one NWB file, streamed in constant memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import NWBHDF5IO, NWBFile
from pynwb.base import ProcessingModule

from rtrecon import config
from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.export.activity import ActivityWriter
from rtrecon.export.dish.nwb_tables import add_dish
from rtrecon.export.imaging import (
    ImagedPlane,
    add_motion,
    add_planes,
    add_raw_recording,
)
from rtrecon.export.measurements import add_behavior, add_events, add_quality
from rtrecon.export.metadata import (
    Metadata,
    collect_metadata,
    describe_missing,
    make_nwb_file,
)
from rtrecon.export.movies import add_movie, add_movie_sd, add_stimulus
from rtrecon.export.screen import add_screen
from rtrecon.imaging.reference import PlaneReference
from rtrecon.session.clock import SessionClock
from rtrecon.session.resume_state import get_reference_path, load_reference
from rtrecon.session.session import Session


@dataclass(frozen=True)
class ExportRequest:
    """One session's folder, and the NWB file to write.

    raw: the recording that the microscope saved, if it is not where the sender said.
    subject, experiment: replace those of the session's settings; by name, see
    `config.SubjectSettings` and `config.ExperimentSettings`.
    """

    session: Path
    out: Path
    raw: Path | None = None
    subject: dict[str, Any] | None = None
    experiment: dict[str, Any] | None = None


@dataclass(frozen=True)
class ExportResult:
    """What was written; notices: sentences on what the file lacks, and why."""

    path: Path
    size_mb: float
    notices: list[str]


def export_nwb(
    request: ExportRequest, on_progress: ProgressCallback = ignore_progress
) -> ExportResult:
    """Write a session as NWB; UserError if that is impossible.

    What cannot be read of a damaged session is NaN or missing in the file; the result's
    notices name each table and the seconds lost.
    """
    session = Session(request.session)
    if request.out.exists():
        raise UserError(f"{request.out} exists already; give another name or delete it")
    if not request.out.resolve().parent.is_dir():
        raise UserError(f"{request.out.parent} is no folder; make it first")
    metadata = collect_metadata(session, request.subject, request.experiment)
    clock = SessionClock.from_session(session)
    builder = _FileBuilder(
        make_nwb_file(session, clock, metadata), session, clock, on_progress
    )
    builder.notices.extend(describe_missing(*metadata))
    builder.add_all(request, metadata[1])
    _write_file(builder.file, request.out)
    notices = builder.notices + session.notices
    return ExportResult(request.out, request.out.stat().st_size / 1e6, notices)


@dataclass(frozen=True)
class _FileBuilder:
    """An NWB file in memory, and the session that goes into it."""

    file: NWBFile
    session: Session
    clock: SessionClock
    on_progress: ProgressCallback
    notices: list[str] = field(default_factory=list)

    def add_all(self, request: ExportRequest, experiment: Metadata) -> None:
        """Add everything; large arrays are read later, when the file is written."""
        if self.session.about.dish is None:
            self._add_imaging(request, experiment)
            self._add_movies()
            add_quality(self.file, self.session, self.clock)
        else:
            add_dish(self.file, self.session, self.clock, self.on_progress)
            self._add_motion(self.file.processing["dish"])
        add_behavior(self.file, self.session, self.clock)
        add_screen(self.file, self.session, self.clock)
        add_events(self.file, self.session, self.clock)

    def _add_movies(self) -> None:
        add_stimulus(self.file, self.session, self.clock, self.on_progress)
        if not add_movie(self.file, self.session, self.clock, self.on_progress):
            self.notices.append("no reconstruction was recorded; the file has none")
        add_movie_sd(self.file, self.session, self.clock, self.on_progress)

    def _add_imaging(self, request: ExportRequest, experiment: Metadata) -> None:
        activity = ActivityWriter(self.session, self.clock, self.on_progress)
        if not len(self.session.activity):
            self.notices.append("no activity was recorded; the file has none")
        references = self._load_references()
        if not references:
            module = self.file.create_processing_module("activity", "of the neurons")
            activity.add_without_masks(module)
            return
        planes = add_planes(self.file, references, experiment)
        self._refer_to_raw_recording(request, planes[0])
        module = self.file.processing["ophys"]
        activity.add_planes(module, planes)
        self._add_motion(module)

    def _add_motion(self, module: ProcessingModule) -> None:
        """Add the shifts of the frames of each plane."""
        frames = self.session.frames
        for plane in np.unique(frames["plane"]).astype(int).tolist():
            rows = np.flatnonzero(frames["plane"] == plane)
            columns = {name: frames[name][rows] for name in frames.columns}
            t_s = self.clock.from_microscope(columns["t_microscope_s"])
            add_motion(module, plane, columns, t_s)

    def _load_references(self) -> list[PlaneReference]:
        """Return what the session's frames were registered to, plane by plane."""
        about = self.session.about
        try:
            settings = config.parse(json.dumps(about.settings))
            return [
                load_reference(get_reference_path(self.session.path, plane), settings)[
                    0
                ]
                for plane in range(1 + max(about.roi_planes, default=0))
            ]
        except UserError as error:
            self.notices.append(f"the file has no masks and no traces: {error}")
            return []

    def _refer_to_raw_recording(
        self, request: ExportRequest, first_plane: ImagedPlane
    ) -> None:
        about = self.session.about
        raw = request.raw or about.meta.get("recording")
        if not raw or not Path(raw).is_file():
            self.notices.append(
                f"the raw recording is not at {raw}; say where it is with --raw"
                if raw
                else "the file does not name the raw recording; say where it is with "
                "--raw"
            )
            return
        frames = self.session.frames
        start_s = float(self.clock.from_microscope(frames["t_microscope_s"][:1])[0])
        rate = {"starting_time": start_s, "rate": about.rate_hz}
        add_raw_recording(
            self.file,
            first_plane.plane,
            (Path(raw), request.out),
            frames["frame"],
            rate,
        )


def _write_file(file: NWBFile, out: Path) -> None:
    """Write a file that exists under its name only when it is complete."""
    try:
        with open_atomically(out) as temporary, NWBHDF5IO(temporary, "w") as disk:
            disk.write(file)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error}") from None
