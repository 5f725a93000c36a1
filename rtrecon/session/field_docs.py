"""Descriptions and units of a struct's fields, for references and file attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec


@dataclass(frozen=True)
class FieldDoc:
    """Name, unit and description of one field; the unit is empty if it has none."""

    name: str
    unit: str
    description: str


def describe_fields(struct: type[msgspec.Struct]) -> list[FieldDoc]:
    """Return what the `msgspec.Meta` of each field says, in the order of the fields."""
    hints = get_type_hints(struct, include_extras=True)
    return [_describe_field(name, hints[name]) for name in struct.__struct_fields__]


def _describe_field(name: str, hint: Any) -> FieldDoc:
    unit = description = ""
    if get_origin(hint) is Annotated:
        for meta in get_args(hint)[1:]:
            if isinstance(meta, msgspec.Meta) and meta.description:
                description = meta.description
                unit = (meta.extra_json_schema or {}).get("unit", "")
    return FieldDoc(name, unit, description)
