"""Reads settings from a file and writes them; each mistake is one sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError

from rtrecon.config.section import FOLDER_KEY, Section
from rtrecon.config.settings import Settings
from rtrecon.config.toml_errors import explain_toml_error
from rtrecon.core.errors import UserError
from rtrecon.core.files import read_text

_NESTED_SECTIONS = ("closed_loop",)  # which have tables inside


class SettingsError(UserError):
    """A settings file that cannot be used; its text says which key and why."""


def load(path: Path) -> Settings:
    """Read a settings file: TOML, or the JSON that is saved with a recording.

    Relative paths in a TOML file are relative to the folder of the file. Raises
    `SettingsError` with one sentence per mistake.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise SettingsError(f"settings file {path} does not exist") from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"settings file {path} is not UTF-8 text ({error}); save it as UTF-8 in "
            "your editor"
        ) from None
    except OSError as error:
        raise SettingsError(f"settings file {path} cannot be read: {error}") from None
    if path.suffix == ".json":
        return parse(text)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        explanation = explain_toml_error(text, error)
        raise SettingsError(f"settings file {path} {explanation}") from None
    except RecursionError:
        raise SettingsError(
            f"settings file {path} has brackets in brackets, too many to be read; "
            "write it anew from the output of 'rtrecon config'"
        ) from None
    try:
        return Settings.model_validate(raw, context={FOLDER_KEY: path.parent})
    except ValidationError as error:
        raise SettingsError(_describe_errors(path, error)) from None


def parse(text: str) -> Settings:
    """Read settings from the JSON that `dump` writes; raises `SettingsError`."""
    try:
        return Settings.model_validate_json(text)
    except ValidationError as error:
        raise SettingsError(_describe_errors(Path("settings"), error)) from None


def dump(settings: Settings) -> str:
    """Return the settings as JSON, as they are saved with every recording."""
    return settings.model_dump_json(indent=2)


def _describe_errors(path: Path, error: ValidationError) -> str:
    by_key: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for item in error.errors():
        # After section and key, pydantic names each type that the key may have.
        key = item["loc"]
        key = key if key[:1] and key[0] in _NESTED_SECTIONS else key[:2]
        by_key.setdefault(key, []).append(dict(item))
    return "\n".join(_describe_error(path, *entry) for entry in by_key.items())


def _describe_error(
    path: Path, location: tuple[object, ...], items: list[dict[str, object]]
) -> str:
    first = items[0]
    key = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        names = ", ".join(sorted(_find_section(location).model_fields))
        return f"{path}: unknown key '{key}'; known here: {names}"
    reasons = ", or ".join(str(item["msg"]) for item in items)
    return f"{path}: '{key}' = {first['input']!r}: {reasons}"


def _find_section(location: tuple[object, ...]) -> type[BaseModel]:
    """Return the section, at any depth, that holds the key at this location."""
    section: type[BaseModel] = Settings
    for part in location[:-1]:
        field = section.model_fields.get(str(part))
        if field is None:
            continue  # the index or the name of a table
        candidates = [field.annotation, *get_args(field.annotation)]
        inner = [
            c for c in candidates if isinstance(c, type) and issubclass(c, Section)
        ]
        section = inner[0] if inner else section
    return section
