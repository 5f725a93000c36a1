"""Settings: one frozen model per station, read from TOML; unknown keys are refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rtrecon.errors import UserError


class SettingsError(UserError):
    """A settings file that cannot be used; its text says which key and why."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WireSettings(_Section):
    """Where the daemon listens and publishes."""

    frames: str = Field("tcp://127.0.0.1:5560", description="senders PUSH here")
    publish: str = Field("tcp://127.0.0.1:5562", description="everybody may SUB here")
    control: str = Field("tcp://127.0.0.1:5563", description="requests, as JSON")
    results: str = Field("tcp://127.0.0.1:5564", description="the inverter PUSHes here")
    idle_timeout_s: float = Field(
        10.0, gt=0, description="silence after which a session counts as ended"
    )


class RegisterSettings(_Section):
    """Motion correction."""

    channel: int | None = Field(
        None, ge=1, description="told motion from; none = the channel that is read"
    )
    max_shift_px: float = Field(32.0, gt=0, description="search range, each direction")
    nonrigid: bool = Field(
        False, description="tell motion by rows: the brain moves while it is scanned"
    )
    bidirectional: Literal["auto", "off"] = Field(
        "auto", description="look for an offset between odd and even lines, and undo it"
    )
    template_frames: int = Field(
        100, ge=10, description="frames of the live template, where none is stored"
    )
    template_drift_s: float | None = Field(
        None, ge=10, description="the template follows slow change; none = it does not"
    )
    min_confidence: float = Field(
        0.15,
        ge=0,
        le=1,
        description="correlation with the template under which a frame is flagged",
    )
    min_usual: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the usual correlation under which a frame is flagged: "
        "out of plane or blurred",
    )
    z_stack: str | None = Field(
        None, description="TIFF of planes around this one, from above; tells z drift"
    )
    z_step_um: float | None = Field(
        None, gt=0, description="between those planes; none = drift is in planes"
    )


class FieldSettings(_Section):
    """Yesterday's field: how far from it today's may be, and when it is another."""

    enabled: bool = Field(True, description="look for the stored field in today's")
    max_rotation_deg: float = Field(10.0, ge=0, le=45, description="searched, each way")
    max_scale: float = Field(
        1.1, ge=1, le=1.5, description="searched, up and down: zoom and objective"
    )
    max_shift: float = Field(
        0.25, gt=0, le=0.5, description="searched, each way, as a share of the field"
    )
    min_visible: float = Field(
        0.5, ge=0, le=1, description="share of neurons under which it is a no-go"
    )


class TracesSettings(_Section):
    """From pixels to activity."""

    channel: int | None = Field(
        None, ge=1, description="read activity from; none = the session's first"
    )
    overlap: Literal["share", "exclude", "demix"] = Field(
        "share", description="pixels of several cells: count for each, none, or demixed"
    )
    neuropil_coefficient: Annotated[float, Field(ge=0, le=1)] | Literal["fitted"] = (
        Field(0.7, description="of the ring, taken off; 'fitted' = each cell's own")
    )
    neuropil_inner_px: int = Field(2, ge=0, description="gap between cell and annulus")
    neuropil_outer_px: int = Field(7, ge=1, description="width of the annulus")
    baseline_window_s: float = Field(60.0, gt=0)
    baseline_smooth_s: float = Field(0.5, gt=0)
    offset_counts: float | Literal["auto"] = Field(
        0.0, description="read in the dark; 'auto' = told from the noise of the frames"
    )
    decay_s: float = Field(0.7, gt=0, description="indicator decay, for deconvolution")
    rise_s: float | None = Field(
        None, gt=0, description="indicator rise, for deconvolution; none = at once"
    )
    deconvolve_lag_frames: int = Field(2, ge=0, le=16)

    @model_validator(mode="after")
    def _rise_before_decay(self) -> TracesSettings:
        if self.rise_s is not None and self.rise_s >= self.decay_s:
            raise ValueError(
                f"rise_s = {self.rise_s} must be shorter than decay_s = {self.decay_s}"
            )
        return self


class AlignSettings(_Section):
    """One time base."""

    rate_hz: float = Field(30.0, gt=0, description="encoder frames per second")


class EncoderSettings(_Section):
    """Which encoder, if any."""

    checkpoint: str | None = Field(
        None, description="path of a .safetensors file, or 'demo' for the one shipped"
    )


class RoiSettings(_Section):
    """Which masks."""

    path: str | None = Field(
        None,
        description="masks: Suite2p, CaImAn, NWB, label image, regions .json; none = "
        "the encoder's",
    )
    only_cells: bool = Field(
        True, description="leave out what Suite2p or CaImAn did not take for a cell"
    )
    transpose: bool = Field(False, description="exchange rows and columns of the masks")


class InvertSettings(_Section):
    """The live inversion."""

    window_frames: int = Field(35, ge=6, description="encoder frames still changing")
    hop_frames: int = Field(5, ge=1, description="new frames per update")
    max_steps: int = Field(16, ge=1)
    budget: float = Field(
        0.8, gt=0, le=1, description="share of a hop's time that steps may fill"
    )
    temperature: float | None = Field(
        None, gt=0, description="weight of the data; none = as the checkpoint says"
    )
    held_out: float = Field(0.1, gt=0, lt=0.5, description="share of neurons kept out")
    null: bool = Field(True, description="invert permuted neurons beside, as a null")
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(1, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _whole_hops(self) -> InvertSettings:
        if self.window_frames % self.hop_frames:
            raise ValueError(
                f"window_frames = {self.window_frames} must be a multiple of "
                f"hop_frames = {self.hop_frames}"
            )
        return self


class RecordSettings(_Section):
    """What is kept."""

    enabled: bool = True
    folder: str = Field("recordings", description="sessions are made inside it")
    chunk_s: float = Field(1.0, gt=0, description="the most a kill -9 can cost")


class Settings(_Section):
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

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def load(path: Path) -> Settings:
    """Read a settings file; relative paths in it are relative to the file.

    Raises `SettingsError` with one sentence per mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"settings file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path} cannot be read: {error}") from None
    if path.suffix == ".json":
        return parse(text)  # as saved with a recording
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"settings file {path} is not TOML: {error}") from None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(_sentences(path, error)) from None
    return _resolved(settings, path.parent)


def parse(text: str) -> Settings:
    """Read settings as `dump` wrote them; raises `SettingsError`."""
    try:
        return Settings.model_validate_json(text)
    except ValidationError as error:
        raise SettingsError(_sentences(Path("settings"), error)) from None


def dump(settings: Settings) -> str:
    """Return the settings as JSON, as saved with every recording."""
    return settings.model_dump_json(by_alias=True, indent=2)


def _resolved(settings: Settings, base: Path) -> Settings:
    rois, encoder, register = settings.rois, settings.encoder, settings.register_
    if rois.path:
        rois = rois.model_copy(update={"path": str(base / rois.path)})
    if encoder.checkpoint and encoder.checkpoint != "demo":
        path = str(base / encoder.checkpoint)
        encoder = encoder.model_copy(update={"checkpoint": path})
    if register.z_stack:
        path = str(base / register.z_stack)
        register = register.model_copy(update={"z_stack": path})
    return settings.model_copy(
        update={"rois": rois, "encoder": encoder, "register_": register}
    )


def _sentences(path: Path, error: ValidationError) -> str:
    by_key: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for item in error.errors():
        # What follows section and key are the kinds of value that one may give.
        by_key.setdefault(item["loc"][:2], []).append(dict(item))
    return "\n".join(_sentence(path, *known) for known in by_key.items())


def _sentence(
    path: Path, location: tuple[object, ...], items: list[dict[str, object]]
) -> str:
    item = items[0]
    key = ".".join(str(part) for part in location)
    if item["type"] == "extra_forbidden":
        section = _section_of(location)
        known = ", ".join(sorted(_names(section)))
        return f"{path}: unknown key '{key}'; known here: {known}"
    wrong = ", or ".join(str(each["msg"]) for each in items)
    return f"{path}: '{key}' = {item['input']!r}: {wrong}"


def _section_of(location: tuple[object, ...]) -> type[BaseModel]:
    section: type[BaseModel] = Settings
    for part in location[:-1]:
        for name, field in section.model_fields.items():
            if part in (name, field.alias) and isinstance(field.annotation, type):
                section = field.annotation
    return section


def _names(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]
