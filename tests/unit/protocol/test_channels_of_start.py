"""The channels that a start message names."""

from __future__ import annotations

import pytest

from rtrecon.protocol import messages


def decode_start(channels):
    start = messages.SessionStart(
        session="a", seq=0, source="x", rate_hz=30, shape=(16, 16), channels=channels
    )
    return messages.decode_incoming(messages.encode_incoming(start))[0]


@pytest.mark.parametrize("channels", [[1, 1], [], [0], [2, 1, 2], [-1, 1]])
def test_channels_that_no_microscope_has_are_refused(channels):
    with pytest.raises(messages.WireError, match="name each channel that will be sent"):
        decode_start(channels)


@pytest.mark.parametrize("channels", [[1], [2, 1], [4, 7]])
def test_each_channel_may_be_named_once_in_any_order(channels):
    assert decode_start(channels).channels == channels
