"""Messages of other programs are refused with a sentence that helps."""

from __future__ import annotations

import json

import pytest

from rtrecon.protocol import messages

IMAGEZMQ = json.dumps({"msg": "cam", "dtype": "uint8", "shape": [4, 6]}).encode()
FOREIGN = {
    "imagezmq": ([IMAGEZMQ, bytes(24)], "this is what imagezmq sends"),
    "Bonsai": ([bytes(24)], "Bonsai's SendMessage and plain ZeroMQ programs send"),
}


@pytest.mark.parametrize("program", FOREIGN)
def test_a_message_of_another_program_is_refused_with_the_cure(program):
    parts, words = FOREIGN[program]
    with pytest.raises(messages.WireError, match=words) as error:
        messages.decode_incoming(parts)
    assert "use a sender in bridge/" in str(error.value)


@pytest.mark.parametrize("header", [b"{}", b"[1]", b"text", b"\xff", b'{"type": 1}'])
def test_an_unknown_message_is_not_said_to_be_of_another_program(header):
    with pytest.raises(messages.WireError) as error:
        messages.decode_incoming([header, b""])
    assert "bridge/" not in str(error.value)
