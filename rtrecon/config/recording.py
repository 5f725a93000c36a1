"""Settings of the recording: what is saved, and what was recorded of whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rtrecon.config.section import Section, WorkingPath


class RecordingSettings(Section):
    """What the daemon saves of a session."""

    enabled: bool = Field(True, description="record every session")
    folder: WorkingPath = Field(
        Path("recordings"),
        description="folder in which each session gets a folder of its own; a relative "
        "path is relative to the folder in which the daemon is started",
    )
    chunk_s: float = Field(
        1.0,
        gt=0,
        description="data are written to the disk at least this often, in s: a crash "
        "loses no more",
    )
    raw_messages: bool = Field(
        False,
        description="also save every received message, images included; exact replays "
        "need them",
    )
    movie: bool = Field(True, description="save the reconstructed movie")
    report: bool = Field(
        True,
        description="write an HTML report into the session's folder when it has ended",
    )


_Texts = str | list[str] | None
# What archives of NWB files accept (NWB Inspector: check_subject_age and its like).
_NUMBER = r"\d+(?:\.\d+)?"
_DURATION = re.compile(
    rf"P(?!$)({_NUMBER}Y)?({_NUMBER}M)?({_NUMBER}W)?({_NUMBER}D)?"
    rf"(T(?=\d)({_NUMBER}H)?({_NUMBER}M)?({_NUMBER}S)?)?"
)
_SPECIES = re.compile(
    r"[A-Z][a-z]* [a-z]+|http://purl\.obolibrary\.org/obo/NCBITaxon_\d+"
)
_WEIGHT = re.compile(rf"{_NUMBER} (kg|g|mg)")


def _require_duration(age: str) -> str:
    """Refuse an age that is neither a duration nor a range of two."""
    begin, _, end = age.partition("/")
    if not all(_DURATION.fullmatch(each) for each in (begin, end or begin)):
        raise ValueError(
            "archives need an ISO 8601 duration: 'P90D' for 90 days, 'P12W' for 12 "
            "weeks, 'P80D/P90D' for 80 to 90 days"
        )
    return age


def _require_latin_name(species: str) -> str:
    if not _SPECIES.fullmatch(species):
        raise ValueError(
            "archives need the Latin name of the species, such as 'Mus musculus'"
        )
    return species


def _require_weight(weight: str) -> str:
    if not _WEIGHT.fullmatch(weight):
        raise ValueError("archives need a number and kg, g or mg, such as '0.025 kg'")
    return weight


class SubjectSettings(Section):
    """The animal, with the field names of NWB's Subject; archives need the first four.

    Every key is optional and is copied into NWB exports.
    """

    subject_id: str | None = Field(
        None, description="name of the animal", examples=["M1"]
    )
    species: Annotated[str, AfterValidator(_require_latin_name)] | None = Field(
        None, description="Latin name of the species", examples=["Mus musculus"]
    )
    sex: Literal["M", "F", "U", "O"] | None = Field(
        None, description="M, F, U (unknown) or O (other)", examples=["F"]
    )
    age: Annotated[str, AfterValidator(_require_duration)] | None = Field(
        None,
        description="age as an ISO 8601 duration; P90D = 90 days",
        examples=["P90D"],
    )
    genotype: str | None = Field(
        None, description="genotype", examples=["Slc17a7-Cre; Ai162"]
    )
    strain: str | None = Field(None, description="strain", examples=["C57BL/6J"])
    weight: Annotated[str, AfterValidator(_require_weight)] | None = Field(
        None, description="weight with its unit", examples=["0.025 kg"]
    )
    description: str | None = Field(
        None,
        description="description of the animal",
        examples=["habituated for a week"],
    )


class ExperimentSettings(Section):
    """The experiment, with the field names of NWB.

    Every key is optional and is copied into NWB exports.
    """

    session_description: str | None = Field(
        None, description="what happened in the session", examples=["natural movies"]
    )
    session_id: str | None = Field(
        None, description="the laboratory's name of the session", examples=["M1-day3"]
    )
    experimenter: _Texts = Field(
        None,
        description="who measured, as 'Last, First'; several in a list",
        examples=["Last, First"],
    )
    lab: str | None = Field(None, description="laboratory", examples=["Our lab"])
    institution: str | None = Field(
        None, description="institution", examples=["Our university"]
    )
    experiment_description: str | None = Field(
        None, description="purpose of the experiment", examples=["decoding of movies"]
    )
    keywords: list[str] | None = Field(
        None, description="keywords", examples=[["two-photon", "V1"]]
    )
    related_publications: _Texts = Field(
        None, description="DOIs; several in a list", examples=["doi:10.1000/xyz"]
    )
    protocol: str | None = Field(
        None, description="number of the animal protocol", examples=["2026-01"]
    )
    surgery: str | None = Field(
        None, description="surgery", examples=["cranial window over V1"]
    )
    virus: str | None = Field(
        None, description="virus and its injection", examples=["AAV1-syn-GCaMP6s"]
    )
    pharmacology: str | None = Field(
        None, description="drugs and anaesthesia", examples=["none"]
    )
    stimulus_notes: str | None = Field(
        None, description="notes on the stimulus", examples=["gray between clips"]
    )
    notes: str | None = Field(
        None, description="any other notes", examples=["the mouse ran a lot"]
    )
    device: str | None = Field(
        None, description="the microscope", examples=["resonant two-photon"]
    )
    location: str | None = Field(
        None, description="location in the brain", examples=["VISp"]
    )
    indicator: str | None = Field(
        None, description="calcium indicator", examples=["GCaMP6s"]
    )
    excitation_lambda: float | None = Field(
        None, gt=0, description="excitation wavelength, in nm", examples=[920.0]
    )
    emission_lambda: float | None = Field(
        None, gt=0, description="emission wavelength, in nm", examples=[510.0]
    )
    grid_spacing_um: tuple[float, float] | None = Field(
        None,
        description="size of a pixel in um: along a line, and from line to line",
        examples=[[1.2, 1.2]],
    )
