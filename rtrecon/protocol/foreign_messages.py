"""Recognises messages of other programs, to help users who expect them to work."""

from __future__ import annotations

from typing import Any

import msgspec

_HELP = "send header and payload as in bridge/README.md, or use a sender in bridge/"


def describe_foreign_message(parts: list[Any]) -> str:
    """Return which program seems to have sent this, and what to do; "" if unknown."""
    if len(parts) == 1:
        return (
            "one part is what Bonsai's SendMessage and plain ZeroMQ programs send; "
            f"{_HELP}"
        )
    if len(parts) != 2:
        return ""
    try:
        header = msgspec.json.decode(bytes(parts[0]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(header, dict) or "type" in header:
        return ""
    if {"dtype", "shape"} <= header.keys():
        return f"this is what imagezmq sends; {_HELP}"
    return ""
