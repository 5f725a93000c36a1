"""All sections together."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from rtrecon.config.companions import LabStreamSettings, ReactSettings
from rtrecon.config.front import (
    AlignSettings,
    FieldSettings,
    RegisterSettings,
    RoiSettings,
    TracesSettings,
    WireSettings,
)
from rtrecon.config.inversion import EncoderSettings, InvertSettings
from rtrecon.config.record import ExperimentSettings, RecordSettings, SubjectSettings
from rtrecon.config.section import Section


class Settings(Section):
    """Everything a daemon needs to know."""

    wire: WireSettings = WireSettings()
    register_: RegisterSettings = Field(RegisterSettings(), alias="register")
    field: FieldSettings = FieldSettings()
    rois: RoiSettings = RoiSettings()
    traces: TracesSettings = TracesSettings()
    align: AlignSettings = AlignSettings()
    encoder: EncoderSettings = EncoderSettings()
    invert: InvertSettings = InvertSettings()
    record: RecordSettings = RecordSettings()
    subject: SubjectSettings = SubjectSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    react: ReactSettings = ReactSettings()
    lsl: LabStreamSettings = LabStreamSettings()

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
