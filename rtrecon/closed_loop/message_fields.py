"""Reads one number out of published messages, by a path that is checked beforehand."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec

from rtrecon.closed_loop.condition import FieldPath
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.metrics.live_metrics import quality_field, quality_field_names
from rtrecon.protocol import messages

# Without events: a rule that reads its own events would trigger itself for ever.
_MESSAGE_CLASSES: dict[str, type[msgspec.Struct]] = {
    messages.message_type(message_class): message_class
    for message_class in get_args(messages.PublishedMessage)
    if message_class is not messages.Event
}
_PROCESSES: tuple[str, ...] = get_args(messages.ProcessName)
_NUMBER_TYPES = (
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.BoolType,
)


class MessageField:
    """One numeric field of the messages of one topic.

    The first name after `health` is the process that publishes it. The metrics of
    `quality` are written without the field that holds them on the network.
    """

    def __init__(self, path: FieldPath) -> None:
        """Raises `UserError` if no published message has such a field."""
        message_class = _MESSAGE_CLASSES.get(path.topic)
        if message_class is None:
            topics = ", ".join(_MESSAGE_CLASSES)
            raise UserError(f"there is no topic '{path.topic}'; known: {topics}")
        self.topic = path.topic
        self._process: str | None = None
        self._names = path.names
        if message_class is messages.Health:
            self._process, *names = path.names
            self._names = tuple(names)
            _require_process(self._process)
        if message_class is messages.Quality:
            self._names = quality_field(path.names[0], path.names[1:])
        self._require_number(message_class)

    def read(self, message: messages.PublishedMessage, payload: Array) -> float | None:
        """Return the field, NaN if it is unknown.

        Returns None for messages that do not count: health of another process, and
        activity of frames that were queued until there was a reference image.
        """
        if isinstance(message, messages.Health) and message.process != self._process:
            return None
        if isinstance(message, messages.Activity) and message.is_backlog:
            return None
        value: Any = message
        for name in self._names:
            value = _get_item(value, name)
        return math.nan if value is None else float(value)

    def _require_number(self, message_class: type[msgspec.Struct]) -> None:
        """Follow the path through the types; raise `UserError` where it ends."""
        field_type: msgspec.inspect.Type | None
        field_type = msgspec.inspect.type_info(message_class)
        for name in self._names:
            known = _field_names(field_type)
            if message_class is messages.Quality and name == self._names[0]:
                known += quality_field_names()
            field_type = _type_of_field(field_type, name)
            if field_type is None:
                raise UserError(
                    f"{self.topic} has no '{name}' there; known: {', '.join(known)}"
                )
        if not isinstance(_plain_type(field_type), _NUMBER_TYPES):
            path = ".".join([self.topic, *self._names])
            fields = ", ".join(_field_names(field_type)) or "none"
            raise UserError(f"{path} is not a number; its fields: {fields}")


def _require_process(name: str) -> None:
    if name not in _PROCESSES:
        raise UserError(
            f"health comes from {', '.join(_PROCESSES)}, not '{name}'; write it like "
            "health.daemon.rate_hz"
        )


def _get_item(value: Any, name: str) -> Any:
    if value is None:
        return None
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, tuple):
        return value[int(name)]
    return getattr(value, name)


def _plain_type(field_type: msgspec.inspect.Type | None) -> msgspec.inspect.Type | None:
    """Return the type of a field without its description and without None."""
    if isinstance(field_type, msgspec.inspect.Metadata):
        return _plain_type(field_type.type)
    if not isinstance(field_type, msgspec.inspect.UnionType):
        return field_type
    types = [
        each
        for each in field_type.types
        if not isinstance(each, msgspec.inspect.NoneType)
    ]
    return types[0] if len(types) == 1 else None


def _field_names(field_type: msgspec.inspect.Type | None) -> list[str]:
    field_type = _plain_type(field_type)
    if isinstance(field_type, msgspec.inspect.StructType):
        return [field.name for field in field_type.fields]
    if isinstance(field_type, msgspec.inspect.TupleType):
        return [str(index) for index in range(len(field_type.item_types))]
    return ["any name"] if isinstance(field_type, msgspec.inspect.DictType) else []


def _type_of_field(
    field_type: msgspec.inspect.Type | None, name: str
) -> msgspec.inspect.Type | None:
    """Return the type of the field `name`; None if there is no such field."""
    field_type = _plain_type(field_type)
    if isinstance(field_type, msgspec.inspect.DictType):
        return field_type.value_type
    if name not in _field_names(field_type):
        return None
    if isinstance(field_type, msgspec.inspect.TupleType):
        return field_type.item_types[int(name)]
    assert isinstance(field_type, msgspec.inspect.StructType)
    return next(field.type for field in field_type.fields if field.name == name)
