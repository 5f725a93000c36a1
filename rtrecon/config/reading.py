"""Settings from a file and back; a mistake is a sentence that names its key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rtrecon.config.companions import ReactSettings
from rtrecon.config.section import Section
from rtrecon.config.settings import Settings
from rtrecon.core.errors import UserError

_AnySection = TypeVar("_AnySection", bound=Section)


class SettingsError(UserError):
    """A settings file that cannot be used; its text says which key and why."""


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
    encoder = settings.encoder
    if encoder.checkpoint != "demo":
        encoder = _beside(base, encoder, "checkpoint")
    return settings.model_copy(
        update={
            "wire": _beside(base, settings.wire, "keys", "token"),
            "rois": _beside(base, settings.rois, "path"),
            "encoder": encoder,
            "register_": _beside(base, settings.register_, "z_stack"),
            "react": _react_beside(base, settings.react),
            "lsl": _beside(base, settings.lsl, "clips"),
        }
    )


def _beside(base: Path, section: _AnySection, *names: str) -> _AnySection:
    given = {name: getattr(section, name) for name in names}
    found = {name: str(base / path) for name, path in given.items() if path}
    return section.model_copy(update=found)


def _react_beside(base: Path, react: ReactSettings) -> ReactSettings:
    targets = {name: str(base / path) for name, path in react.targets.items()}
    python = {
        name: own.model_copy(update={"function": str(base / own.function)})
        if ".py:" in own.function
        else own
        for name, own in react.python.items()
    }
    return react.model_copy(update={"targets": targets, "python": python})


def _sentences(path: Path, error: ValidationError) -> str:
    by_key: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for item in error.errors():
        # What follows section and key are the kinds of value that one may give; only
        # [react] has tables within.
        place = item["loc"]
        place = place if place[:1] == ("react",) else place[:2]
        by_key.setdefault(place, []).append(dict(item))
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
            # Of a list or table of sections, any of them.
            kinds = [field.annotation, *get_args(field.annotation)]
            inner = [k for k in kinds if isinstance(k, type) and issubclass(k, Section)]
            if part in (name, field.alias) and inner:
                section = inner[0]
    return section


def _names(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]
