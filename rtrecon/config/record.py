"""Sections of the record: what is kept, of whom."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rtrecon.config.section import Section


class RecordSettings(Section):
    """What is kept."""

    enabled: bool = True
    folder: str = Field("recordings", description="sessions are made inside it")
    chunk_s: float = Field(1.0, gt=0, description="the most a kill -9 can cost")
    frames: bool = Field(
        False, description="also all that comes in, images too: replays need it"
    )
    movie: bool = Field(True, description="also the reconstructions")
    report: bool = Field(
        True, description="write a report into the session's folder at its end"
    )


_Texts = str | list[str] | None


class SubjectSettings(Section):
    """Who was recorded: the names, and the ways of writing, of NWB's `Subject`."""

    subject_id: str | None = None
    species: str | None = Field(None, description="in Latin, such as Mus musculus")
    sex: Literal["M", "F", "U", "O"] | None = None
    age: str | None = Field(None, description="ISO 8601: P90D is 90 days")
    genotype: str | None = None
    strain: str | None = None
    weight: str | None = Field(None, description="with its unit, such as 0.025 kg")
    description: str | None = None


class ExperimentSettings(Section):
    """What was recorded, where and by whom: the names of NWB."""

    session_description: str | None = None
    session_id: str | None = None
    experimenter: _Texts = Field(None, description="Last, First; several in a list")
    lab: str | None = None
    institution: str | None = None
    experiment_description: str | None = None
    keywords: list[str] | None = None
    related_publications: _Texts = None
    protocol: str | None = None
    surgery: str | None = None
    virus: str | None = None
    pharmacology: str | None = None
    stimulus_notes: str | None = None
    notes: str | None = None
    device: str | None = Field(None, description="the microscope")
    location: str | None = Field(None, description="in the brain, such as VISp")
    indicator: str | None = Field(None, description="such as GCaMP6s")
    excitation_lambda: float | None = Field(None, gt=0, description="nm")
    emission_lambda: float | None = Field(None, gt=0, description="nm")
    grid_spacing_um: tuple[float, float] | None = Field(
        None, description="one pixel's size: along a line, and from line to line"
    )
