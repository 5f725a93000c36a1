"""Writes the example settings file and the settings reference from the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rtrecon.config.section import Section
from rtrecon.config.settings import Settings

_WIDTH = 88
_HEADING = (
    "rtrecon settings: all keys, what they mean, and their defaults. Copy this file, "
    "change what differs at your rig and delete what does not. Every key is optional, "
    "but the daemon must know the neurons: set encoder.checkpoint or rois.path. "
    "Relative paths are relative to the folder of this file. 'rtrecon check FILE' "
    "tests the settings, the files and the ports."
)
_TYPE_NAMES: dict[object, str] = {
    bool: "true or false",
    float: "number",
    int: "integer",
    str: "text",
    Path: "path",
    type(None): "",
}
_LIMITS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "min_length": "length >="}
_LIMITS |= {"max_length": "length <="}

_Model = type[Section]


def settings_template() -> str:
    """Return a complete commented settings file (TOML) with all defaults."""
    lines = [*_comment(_HEADING)]
    for name, section in _list_sections():
        lines += ["", *_comment(_summary(section)), f"[{name}]"]
        lines += _template_keys(section)
        for key, model in _list_tables(section):
            lines += ["", *_template_table(f"{name}.{key}", section, key, model)]
    return "\n".join(lines) + "\n"


def settings_reference() -> str:
    """Return Markdown tables of all keys: type, default and meaning, by section."""
    lines: list[str] = []
    for name, section in _list_sections():
        lines += [f"## `[{name}]`", "", *_reference_table(section), ""]
        for key, model in _list_tables(section):
            heading = _table_heading(f"{name}.{key}", section, key)
            lines += [f"### `{heading}`", "", *_reference_table(model), ""]
    return "\n".join(lines)


def _list_sections() -> Iterator[tuple[str, _Model]]:
    for name, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type)
        yield name, field.annotation


def _list_tables(section: _Model) -> Iterator[tuple[str, _Model]]:
    """Yield the keys of a section that hold tables, and the model of each table."""
    for key, field in section.model_fields.items():
        for argument in get_args(field.annotation):
            if isinstance(argument, type) and issubclass(argument, Section):
                yield key, argument


def _list_plain_keys(section: _Model) -> Iterator[tuple[str, FieldInfo]]:
    tables = {key for key, _ in _list_tables(section)}
    for key, field in section.model_fields.items():
        if key not in tables:
            yield key, field


def _summary(section: _Model) -> str:
    return (section.__doc__ or "").partition("\n")[0]


def _table_heading(path: str, section: _Model, key: str) -> str:
    is_list = get_origin(section.model_fields[key].annotation) is list
    return f"[[{path}]]" if is_list else f"[{path}.NAME]"


# -- the example file ----------------------------------------------------------------


def _template_keys(section: _Model) -> Iterator[str]:
    for key, field in _list_plain_keys(section):
        yield from _comment(_describe(field))
        if field.default is None or field.default in ([], {}):
            yield f"# {key} = {_toml(_example(field))}"
        else:
            yield f"{key} = {_toml(field.default)}"


def _template_table(
    path: str, section: _Model, key: str, model: _Model
) -> Iterator[str]:
    """Yield an example table; it is commented out, as none exists by default."""
    yield from _comment(_summary(model))
    yield f"# {_table_heading(path, section, key)}"
    for name, field in _list_plain_keys(model):
        yield from _comment(_describe(field), "#   # ")
        unset = field.is_required() or field.default in (None, [], {})
        value = _example(field) if unset else field.default
        yield f"#   {name} = {_toml(value)}"


def _comment(text: str, prefix: str = "# ") -> list[str]:
    return wrap(text, _WIDTH, initial_indent=prefix, subsequent_indent=prefix)


def _describe(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    needed = extra.get("needed") if isinstance(extra, dict) else None
    needed = "needed" if field.is_required() else needed and f"needed: {needed}"
    text = str(field.description)
    text = text[:1].upper() + text[1:]
    return f"{text} ({needed})" if needed else text


def _example(field: FieldInfo) -> Any:
    return field.examples[0] if field.examples else field.default


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = [f"{key} = {_toml(inner)}" for key, inner in value.items()]
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(inner) for inner in value)}]"
    if isinstance(value, Path):
        value = value.as_posix()
    return json.dumps(value)


# -- the reference -------------------------------------------------------------------


def _reference_table(section: _Model) -> Iterator[str]:
    yield f"{_summary(section)}"
    yield ""
    yield "| Key | Type | Default | Meaning |"
    yield "|--|--|--|--|"
    for key, field in _list_plain_keys(section):
        kind, meaning = _describe_type(field), _describe(field)
        cells = f"`{key}`", kind, _describe_default(field), meaning
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _describe_default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "needed"
    if field.default is None or field.default in ([], {}):
        return "not set"
    return f"`{_toml(field.default)}`"


def _describe_type(field: FieldInfo) -> str:
    kind = _type_name(field.annotation)
    limits = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in _LIMITS.items()
        if getattr(rule, name, None) is not None
    ]
    return f"{kind}, {', '.join(limits)}" if limits else kind


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _TYPE_NAMES:
        return _TYPE_NAMES[annotation]
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{_toml(choice)}`" for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(filter(None, map(_type_name, arguments)))
    if origin is tuple:
        return f"{len(arguments)} {_type_name(arguments[0])}s"
    if origin is list:
        return f"list of {_type_name(arguments[0])}"
    return f"table of {_type_name(arguments[1])}"
