"""Who and what was recorded, in NWB's words, and what nobody said."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from pynwb import NWBFile
from pynwb.file import Subject

from rtrecon.config import ExperimentSettings, SubjectSettings
from rtrecon.export.clock import Clock
from rtrecon.export.request import Plan
from rtrecon.session.session import Session

# What archives ask for, of the names in our settings.
_WANTED = {
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
# Of the experiment, what NWB keeps with the imaging.
IMAGING = {
    "device",
    "location",
    "indicator",
    "excitation_lambda",
    "emission_lambda",
    "grid_spacing_um",
}

Given = dict[str, Any]


def given(session: Session, plan: Plan) -> tuple[Given, Given]:
    """Return what is known of subject and experiment, by name."""
    settings = session.about.settings
    subject = plan.subject or settings.get("subject", {})
    experiment = plan.experiment or settings.get("experiment", {})
    return (
        _known(subject, set(SubjectSettings.model_fields)),
        _known(experiment, set(ExperimentSettings.model_fields)),
    )


def missing(subject: Given, experiment: Given) -> list[str]:
    """Return a sentence on what the file cannot say, if there is anything."""
    told = {"subject": subject, "experiment": experiment}
    names = [
        f"{section}.{name}"
        for section, wanted in _WANTED.items()
        for name in wanted
        if name not in told[section]
    ]
    if not names:
        return []
    return [
        f"not known, and so not in the file: {', '.join(names)}; write them into "
        "[subject] and [experiment] of the settings, or export with --settings"
    ]


def nwb_file(session: Session, clock: Clock, about: tuple[Given, Given]) -> NWBFile:
    """Return a file that says who and what, and holds nothing yet."""
    subject, experiment = about
    general = {k: v for k, v in experiment.items() if k not in IMAGING}
    general.setdefault("session_description", "two-photon imaging of visual cortex")
    made_by = [["rtrecon", session.about.version or "unknown"]]
    file = NWBFile(
        identifier=f"{session.about.session}/{session.path.resolve().name}",
        session_start_time=clock.began,
        was_generated_by=made_by,
        data_collection=_collection(session),
        **general,
    )
    file.subject = Subject(**{"subject_id": "unknown", "sex": "U"} | subject)
    return file


def _collection(session: Session) -> str:
    """Return how it was recorded, as JSON; of paths only the files' names."""
    about = session.about
    told = {
        "settings": _without_folders(about.settings),
        "libraries": about.libraries,
        "machine": msgspec.structs.asdict(about.machine),
        "checkpoint_sha256": about.checkpoint_sha256,
        "source": about.meta.get("source"),
    }
    return json.dumps(told)


def _without_folders(value: Any) -> Any:
    """Return settings whose paths tell nothing about whose disk they lay on."""
    if isinstance(value, dict):
        return {key: _without_folders(each) for key, each in value.items()}
    if isinstance(value, str) and "://" not in value:
        return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return value


def _known(section: Given, names: set[str]) -> Given:
    return {k: v for k, v in section.items() if k in names and v not in (None, [], "")}
