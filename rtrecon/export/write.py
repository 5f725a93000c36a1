"""A recorded session as one NWB file: streamed, and whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pynwb import NWBHDF5IO, NWBFile

from rtrecon import config
from rtrecon.core.errors import UserError
from rtrecon.export.activity import Traces
from rtrecon.export.clock import Clock
from rtrecon.export.imaging import Imaged, add_motion, add_planes, add_raw
from rtrecon.export.measured import add_behavior, add_events, add_quality
from rtrecon.export.metadata import Given, given, missing, nwb_file
from rtrecon.export.movies import add_movie, add_stimulus
from rtrecon.export.request import Plan
from rtrecon.imaging.reference import Reference
from rtrecon.session.resume_state import load_reference, reference_file
from rtrecon.session.session import Session

Report = Callable[[str, float, str], None]


@dataclass(frozen=True)
class Exported:
    """What was written; notes: sentences on what the file does not hold, and why."""

    path: Path
    size_mb: float
    notes: list[str]


def export_nwb(plan: Plan, report: Report) -> Exported:
    """Write a session as NWB, in constant memory; UserError where that cannot be.

    report: told of each stage, the share of it that is done, and a word.
    """
    session = Session(plan.session)
    if plan.out.exists():
        raise UserError(f"{plan.out} is there already; give another name or delete it")
    if not plan.out.resolve().parent.is_dir():
        raise UserError(f"{plan.out.parent} is no folder; make it first")
    subject, experiment = given(session, plan)
    clock = Clock.of(session)
    work = _Work(
        nwb_file(session, clock, (subject, experiment)),
        session,
        clock,
        lambda stage, share: report(stage, share, f"{share:.0%}"),
        missing(subject, experiment),
    )
    work.fill(plan, experiment)
    _write(work.file, plan.out)
    return Exported(plan.out, plan.out.stat().st_size / 1e6, work.notes)


@dataclass(frozen=True)
class _Work:
    """A file in the making, and the session that goes into it."""

    file: NWBFile
    session: Session
    clock: Clock
    told: Callable[[str, float], None]
    notes: list[str] = field(default_factory=list)

    def fill(self, plan: Plan, experiment: Given) -> None:
        """Add all there is; what is read on writing is not read yet."""
        self._add_images(plan, experiment)
        add_behavior(self.file, self.session, self.clock)
        add_stimulus(self.file, self.session, self.clock, self.told)
        if not add_movie(self.file, self.session, self.clock, self.told):
            self.notes.append("no reconstruction was recorded, and none is in the file")
        add_quality(self.file, self.session, self.clock)
        add_events(self.file, self.session, self.clock)

    def _add_images(self, plan: Plan, experiment: Given) -> None:
        traces = Traces(self.session, self.clock, self.told)
        references = self._references()
        if not references:
            module = self.file.create_processing_module("activity", "of the neurons")
            traces.add_unmasked(module)
            return
        imaged = add_planes(self.file, references, experiment)
        self._refer_to_raw(plan, imaged[0])
        module = self.file.processing["ophys"]
        traces.add(module, imaged)
        frames = self.session.frames
        for own in imaged:
            places = np.flatnonzero(frames["plane"] == own.number)
            rows = {name: frames[name][places] for name in frames.columns}
            add_motion(module, own.number, rows, self.clock.of_microscope(rows["t"]))

    def _references(self) -> list[Reference]:
        """Return what the session's frames were registered to, plane by plane."""
        about = self.session.about
        try:
            settings = config.parse(json.dumps(about.settings))
            return [
                load_reference(reference_file(self.session.path, plane), settings)[0]
                for plane in range(1 + max(about.roi_planes, default=0))
            ]
        except UserError as error:
            self.notes.append(f"no masks and no traces are in the file: {error}")
            return []

    def _refer_to_raw(self, plan: Plan, first: Imaged) -> None:
        about = self.session.about
        known = plan.raw or about.meta.get("recording")
        if not known or not Path(known).is_file():
            self.notes.append(
                f"the raw recording is not at {known}; say where with --raw"
                if known
                else "the raw recording is not referred to; say where it is with --raw"
            )
            return
        frames = self.session.frames
        start_s = self.clock.of_microscope(frames["t"][:1])
        rate = {"starting_time": float(start_s[0]), "rate": about.rate_hz}
        add_raw(self.file, first.plane, (Path(known), plan.out), frames["frame"], rate)


def _write(file: NWBFile, out: Path) -> None:
    """Write a file that is there when it is whole."""
    partial = out.with_suffix(".partial.nwb")
    try:
        with NWBHDF5IO(partial, "w") as disk:
            disk.write(file)
        partial.replace(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error}") from None
    finally:
        partial.unlink(missing_ok=True)
