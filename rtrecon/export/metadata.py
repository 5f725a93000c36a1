"""Who and what was recorded, in NWB's fields, and which fields are missing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from pynwb import NWBFile
from pynwb.file import Subject

from rtrecon.config import ExperimentSettings, SubjectSettings
from rtrecon.session.clock import SessionClock
from rtrecon.session.session import Session

# What archives ask for, by the names of our settings.
_REQUIRED = {
    "subject": ("subject_id", "species", "sex", "age"),
    "experiment": (
        "session_description",
        "experimenter",
        "lab",
        "institution",
        "location",
        "indicator",
        "excitation_lambda",
        "emission_lambda",
    ),
}
# Fields of the experiment that NWB stores with the imaging plane.
_IMAGING_FIELDS = {
    "device",
    "location",
    "indicator",
    "excitation_lambda",
    "emission_lambda",
    "grid_spacing_um",
}

Metadata = dict[str, Any]


def collect_metadata(
    session: Session, subject: Metadata | None, experiment: Metadata | None
) -> tuple[Metadata, Metadata]:
    """Return what is known about subject and experiment, by name.

    subject, experiment: used in place of the session's settings where they are given.
    """
    settings = session.about.settings
    subject = subject or settings.get("subject", {})
    experiment = experiment or settings.get("experiment", {})
    return (
        _select_known(subject, set(SubjectSettings.model_fields)),
        _select_known(experiment, set(ExperimentSettings.model_fields)),
    )


def describe_missing(subject: Metadata, experiment: Metadata) -> list[str]:
    """Return a sentence on the fields that the file will lack, if any."""
    known = {"subject": subject, "experiment": experiment}
    names = [
        f"{section}.{name}"
        for section, required in _REQUIRED.items()
        for name in required
        if name not in known[section]
    ]
    if not names:
        return []
    return [
        f"missing in the file, because unknown: {', '.join(names)}; write them into "
        "[subject] and [experiment] of the settings, or export with --settings"
    ]


def make_nwb_file(
    session: Session, clock: SessionClock, metadata: tuple[Metadata, Metadata]
) -> NWBFile:
    """Return a file with metadata and no data. metadata: of subject and experiment."""
    subject, experiment = metadata
    general = {k: v for k, v in experiment.items() if k not in _IMAGING_FIELDS}
    general.setdefault("session_description", _describe_session(session))
    generated_by = [["rtrecon", session.about.version or "unknown"]]
    file = NWBFile(
        identifier=f"{session.about.session}/{session.path.resolve().name}",
        session_start_time=clock.start,
        was_generated_by=generated_by,
        data_collection=_describe_recording(session),
        **general,
    )
    file.subject = Subject(**{"subject_id": "unknown", "sex": "U"} | subject)
    return file


def _describe_session(session: Session) -> str:
    if session.about.dish is not None:
        return "time-lapse of neurons in culture"
    return "two-photon imaging of visual cortex"


def _describe_recording(session: Session) -> str:
    """Return how the session was recorded, as JSON; only file names of paths."""
    about = session.about
    description = {
        "settings": _remove_folders(about.settings),
        "libraries": about.libraries,
        "machine": msgspec.structs.asdict(about.machine),
        "checkpoint_sha256": about.checkpoint_sha256,
        "source": about.meta.get("source"),
    }
    return json.dumps(description)


def _remove_folders(value: Any) -> Any:
    """Return settings in which each path is cut to its file name, for privacy."""
    if isinstance(value, dict):
        return {key: _remove_folders(each) for key, each in value.items()}
    if isinstance(value, str) and "://" not in value:
        return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return value


def _select_known(section: Metadata, names: set[str]) -> Metadata:
    return {k: v for k, v in section.items() if k in names and v not in (None, [], "")}
