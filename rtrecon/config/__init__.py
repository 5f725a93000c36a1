"""Settings: one frozen model per section, read from TOML; unknown keys are refused."""

from rtrecon.config.calibration import CalibrationSettings
from rtrecon.config.closed_loop import (
    ClosedLoopSettings,
    LslMarkerSettings,
    MicroManagerSettings,
    NiDaqSettings,
    PythonSettings,
    RuleSettings,
    SerialSettings,
)
from rtrecon.config.files import SettingsError, dump, load, parse
from rtrecon.config.imaging import (
    FieldMatchSettings,
    RegistrationSettings,
    RoiSettings,
    TimingSettings,
    TracesSettings,
)
from rtrecon.config.inversion import EncoderSettings, InversionSettings
from rtrecon.config.live_dish import LiveDishSettings
from rtrecon.config.network import LslSettings, NetworkSettings
from rtrecon.config.recording import (
    ExperimentSettings,
    RecordingSettings,
    SubjectSettings,
)
from rtrecon.config.screen import LightSettings, ScreenSettings
from rtrecon.config.settings import Settings

__all__ = [
    "CalibrationSettings",
    "ClosedLoopSettings",
    "EncoderSettings",
    "ExperimentSettings",
    "FieldMatchSettings",
    "InversionSettings",
    "LightSettings",
    "LiveDishSettings",
    "LslMarkerSettings",
    "LslSettings",
    "MicroManagerSettings",
    "NetworkSettings",
    "NiDaqSettings",
    "PythonSettings",
    "RecordingSettings",
    "RegistrationSettings",
    "RoiSettings",
    "RuleSettings",
    "ScreenSettings",
    "SerialSettings",
    "Settings",
    "SettingsError",
    "SubjectSettings",
    "TimingSettings",
    "TracesSettings",
    "dump",
    "load",
    "parse",
]
