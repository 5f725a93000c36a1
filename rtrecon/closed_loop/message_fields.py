"""Reading a number out of a published message, by a path checked beforehand."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec

from rtrecon.closed_loop.condition import Path
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages

# Not events: a rule that hears itself would never be silent again.
_KINDS: dict[str, type[msgspec.Struct]] = {
    str(kind.__struct_config__.tag): kind
    for kind in get_args(messages.Published)
    if kind is not messages.Event
}
_NUMBERS = (
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.BoolType,
)


class Field:
    """A reading of one field. Of `health`, the first name is the station's."""

    def __init__(self, path: Path) -> None:
        """Check the path against what is published; raises `UserError`."""
        kind = _KINDS.get(path.topic)
        if kind is None:
            raise UserError(
                f"nothing is published as '{path.topic}'; known: {', '.join(_KINDS)}"
            )
        names = path.names
        self.topic = path.topic
        self._station = names[0] if kind is messages.Health else None
        self._names = names[1:] if kind is messages.Health else names
        if self._station and self._station not in _stations():
            raise UserError(
                f"health comes from {', '.join(_stations())}, not '{self._station}'; "
                "write it like health.front.rate_hz"
            )
        self._check(kind)

    def read(self, message: messages.Published, payload: Array) -> float | None:
        """Return the field, NaN if it is not known; None of another's message."""
        if isinstance(message, messages.Health) and message.station != self._station:
            return None
        if isinstance(message, messages.Activity) and message.late:
            return None
        value: Any = message
        for name in self._names:
            value = _inside(value, name)
        return math.nan if value is None else float(value)

    def _check(self, kind: type[msgspec.Struct]) -> None:
        found: msgspec.inspect.Type | None = msgspec.inspect.type_info(kind)
        for name in self._names:
            known = _names_in(found)
            found = _type_of(found, name)
            if found is None:
                raise UserError(
                    f"{self.topic} has no '{name}' there; known: {', '.join(known)}"
                )
        if not isinstance(_known(found), _NUMBERS):
            raise UserError(
                f"{'.'.join([self.topic, *self._names])} is no number; "
                f"of these: {', '.join(_names_in(found)) or 'none'}"
            )


def _stations() -> tuple[str, ...]:
    hints = {field.name: field for field in msgspec.structs.fields(messages.Health)}
    return get_args(hints["station"].type)


def _inside(value: Any, name: str) -> Any:
    if value is None:
        return None
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, tuple):
        return value[int(name)]
    return getattr(value, name)


def _known(kind: msgspec.inspect.Type | None) -> msgspec.inspect.Type | None:
    """Return what a field is when it is known: without the None that it may be."""
    if not isinstance(kind, msgspec.inspect.UnionType):
        return kind
    inner = [t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType)]
    return inner[0] if len(inner) == 1 else None


def _names_in(kind: msgspec.inspect.Type | None) -> list[str]:
    kind = _known(kind)
    if isinstance(kind, msgspec.inspect.StructType):
        return [field.name for field in kind.fields]
    if isinstance(kind, msgspec.inspect.TupleType):
        return [str(place) for place in range(len(kind.item_types))]
    return ["any name"] if isinstance(kind, msgspec.inspect.DictType) else []


def _type_of(
    kind: msgspec.inspect.Type | None, name: str
) -> msgspec.inspect.Type | None:
    kind = _known(kind)
    if isinstance(kind, msgspec.inspect.DictType):
        return kind.value_type
    if name not in _names_in(kind):
        return None
    if isinstance(kind, msgspec.inspect.TupleType):
        return kind.item_types[int(name)]
    assert isinstance(kind, msgspec.inspect.StructType)
    return next(field.type for field in kind.fields if field.name == name)
