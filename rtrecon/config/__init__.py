"""Settings: one frozen model per station, read from TOML; unknown keys are refused."""

from rtrecon.config.companions import (
    LabStreamSettings,
    LslSettings,
    NiDaqSettings,
    PythonSettings,
    ReactSettings,
    RuleSettings,
    SerialSettings,
)
from rtrecon.config.front import (
    AlignSettings,
    FieldSettings,
    RegisterSettings,
    RoiSettings,
    TracesSettings,
    WireSettings,
)
from rtrecon.config.inversion import EncoderSettings, InvertSettings
from rtrecon.config.reading import SettingsError, dump, load, parse
from rtrecon.config.record import ExperimentSettings, RecordSettings, SubjectSettings
from rtrecon.config.settings import Settings

__all__ = [
    "AlignSettings",
    "EncoderSettings",
    "ExperimentSettings",
    "FieldSettings",
    "InvertSettings",
    "LabStreamSettings",
    "LslSettings",
    "NiDaqSettings",
    "PythonSettings",
    "ReactSettings",
    "RecordSettings",
    "RegisterSettings",
    "RoiSettings",
    "RuleSettings",
    "SerialSettings",
    "Settings",
    "SettingsError",
    "SubjectSettings",
    "TracesSettings",
    "WireSettings",
    "dump",
    "load",
    "parse",
]
