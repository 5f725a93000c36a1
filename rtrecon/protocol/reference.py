"""Wire reference: Markdown tables of all messages, generated from their structs."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from rtrecon.protocol.codec import message_type
from rtrecon.protocol.dish_messages import NeuronFigures
from rtrecon.protocol.fields import MessageHeader
from rtrecon.protocol.incoming import IncomingMessage
from rtrecon.protocol.published import (
    GapCounts,
    HeldOutPrediction,
    LatencyPercentiles,
    PublishedMessage,
)
from rtrecon.protocol.published_header import PublishedHeader

_NESTED = (HeldOutPrediction, LatencyPercentiles, GapCounts, NeuronFigures)
_TYPE_NAMES = {"integer": "int", "number": "float", "string": "text", "boolean": "bool"}
_TABLE_HEAD = ["| field | type | required | unit | meaning |", "|--|--|--|--|--|"]

Schema = dict[str, Any]
StructClass = type[msgspec.Struct]


def wire_reference() -> str:
    """Return Markdown: a section per message with its fields, types, units, meaning."""
    lines = ["## Messages to the daemon", ""]
    lines += _describe_direction(MessageHeader, get_args(IncomingMessage))
    lines += ["## Messages from the daemon", ""]
    lines += _describe_direction(PublishedHeader, get_args(PublishedMessage))
    lines += ["## Objects inside messages", ""]
    for struct in _NESTED:
        lines += _describe_struct(struct, struct.__name__, ())
    return "\n".join(lines).rstrip() + "\n"


def _describe_direction(
    header: StructClass, structs: tuple[StructClass, ...]
) -> list[str]:
    common = header.__struct_fields__
    lines = _describe_struct(header, "Every message", ())
    for struct in structs:
        lines += _describe_struct(struct, f"`{message_type(struct)}`", common)
    return lines


def _describe_struct(
    struct: StructClass, title: str, hidden: tuple[str, ...]
) -> list[str]:
    _, definitions = msgspec.json.schema_components([struct], ref_template="{name}")
    schema = definitions[struct.__name__]
    lines = [f"### {title}", ""]
    lines += [line.strip() for line in str(schema["description"]).splitlines()]
    lines += ["", *_TABLE_HEAD]
    for field in msgspec.structs.fields(struct):
        if field.name not in hidden:
            lines.append(_describe_field(field, schema["properties"][field.name]))
    return [*lines, ""]


def _describe_field(field: msgspec.structs.FieldInfo, schema: Schema) -> str:
    cells = (
        f"`{field.name}`",
        _format_type(schema),
        "yes" if field.required else f"no, {_format_default(field)}",
        schema.get("unit", ""),
        schema["description"],
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _format_default(field: msgspec.structs.FieldInfo) -> str:
    default = field.default
    if default is msgspec.NODEFAULT:
        default = field.default_factory()
    return f"`{msgspec.json.encode(default).decode()}`"


def _format_type(field: Schema) -> str:
    if "$ref" in field:
        return str(field["$ref"])
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return _format_union(field["anyOf"])
    if field.get("type") == "array":
        return _format_array(field)
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"object of {_format_type(values)}" if values else "object"
    return _TYPE_NAMES.get(str(field.get("type")), str(field.get("type", "any")))


def _format_union(options: list[Schema]) -> str:
    return " or ".join(_format_type(option) for option in options)


def _format_array(field: Schema) -> str:
    if "prefixItems" in field:
        return f"[{', '.join(_format_type(item) for item in field['prefixItems'])}]"
    return f"list of {_format_type(field.get('items') or {})}"
