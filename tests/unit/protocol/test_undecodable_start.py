"""A start message that cannot be decoded still names its session."""

from __future__ import annotations

import json

import pytest

from rtrecon.protocol import messages


def encode(**header: object) -> list[bytes]:
    return [json.dumps(header).encode(), b""]


def test_an_undecodable_start_names_its_session():
    parts = encode(v=1, type="start", session="a", seq=0, rate_hz="fast")
    with pytest.raises(messages.WireError):
        messages.decode_incoming(parts)
    assert messages.read_start_session(parts) == "a"


@pytest.mark.parametrize(
    ("header", "session"),
    [
        (b'{"type": "frame", "session": "a", "t": NaN}', "a"),
        (b'{"session" : "b", "type":"frame", "t": NaN', "b"),
        (b'{"type": "frame", "t": NaN}', ""),
        (b'{"type": "behavior", "session": "a", "t": NaN}', None),
    ],
)
def test_a_malformed_frame_may_still_name_its_session(header, session):
    assert messages.find_frame_session([header, b"xy"]) == session


def test_a_message_without_parts_is_no_frame():
    assert messages.find_frame_session([]) is None


@pytest.mark.parametrize(
    "parts",
    [
        encode(v=1, type="frame", session="a", seq=0),
        encode(type="start", session=7),
        encode(type="start"),
        [b"[1]", b""],
        [b"\xff{", b""],
        [b""],
        [],
    ],
)
def test_other_messages_name_none(parts):
    assert messages.read_start_session(parts) is None
