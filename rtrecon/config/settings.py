"""All settings sections together."""

from __future__ import annotations

from rtrecon.config.calibration import CalibrationSettings
from rtrecon.config.closed_loop import ClosedLoopSettings
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
from rtrecon.config.section import Section


class Settings(Section):
    """All settings of a daemon and of its worker processes, one section each."""

    encoder: EncoderSettings = EncoderSettings()
    rois: RoiSettings = RoiSettings()
    network: NetworkSettings = NetworkSettings()
    registration: RegistrationSettings = RegistrationSettings()
    field_match: FieldMatchSettings = FieldMatchSettings()
    traces: TracesSettings = TracesSettings()
    timing: TimingSettings = TimingSettings()
    screen: ScreenSettings = ScreenSettings()
    light: LightSettings = LightSettings()
    dish: LiveDishSettings = LiveDishSettings()
    inversion: InversionSettings = InversionSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    recording: RecordingSettings = RecordingSettings()
    subject: SubjectSettings = SubjectSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    closed_loop: ClosedLoopSettings = ClosedLoopSettings()
    lsl: LslSettings = LslSettings()
