"""Images of two channels are joined into frames; incomplete frames are counted."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings, Settings, TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.daemon.channel_pairing import ChannelPairing, ReceivedFrame
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import NO_BEHAVIOR

GREEN, RED, OTHER = 1, 2, 3
SHAPE = (2, 3)
START = messages.SessionStart(
    session="s",
    seq=0,
    source="test",
    rate_hz=30.0,
    shape=SHAPE,
    channels=[GREEN, RED, OTHER],
)


def make_pairing(signal: int | None, registration: int | None) -> ChannelPairing:
    traces = TracesSettings(channel=signal)
    registration_settings = RegistrationSettings(channel=registration)
    settings = Settings(traces=traces, registration=registration_settings)
    return ChannelPairing(START, settings)


def receive(frame: int, channel: int) -> ReceivedFrame:
    """Return an image whose pixels are the number of its channel."""
    message = messages.Frame(
        session="s",
        seq=frame,
        t=frame / 30.0,
        t_send=0.0,
        frame=frame,
        shape=SHAPE,
        channel=channel,
    )
    return ReceivedFrame(message, np.full(SHAPE, channel, np.int16), 100.0 + channel)


def test_one_channel_is_used_for_signal_and_registration_by_default():
    pairing = make_pairing(None, None)
    assert [pairing.is_used(receive(1, c)) for c in (GREEN, RED)] == [True, False]
    frame = pairing.add_image(receive(1, GREEN), NO_BEHAVIOR)
    assert frame.signal_image is frame.registration_image
    assert frame.n_images == 1


@pytest.mark.parametrize("order", [(GREEN, RED), (RED, GREEN)])
def test_two_channels_of_a_frame_are_joined_in_any_order(order):
    pairing = make_pairing(GREEN, RED)
    first, second = (receive(1, channel) for channel in order)
    assert pairing.add_image(first, NO_BEHAVIOR) is None
    frame = pairing.add_image(second, NO_BEHAVIOR)
    assert (frame.signal_image == GREEN).all()
    assert (frame.registration_image == RED).all()
    assert (frame.message.channel, frame.n_images) == (GREEN, 2)
    assert frame.t_received_s == second.t_received
    assert pairing.n_unpaired == 0


def test_an_image_without_its_other_channel_is_counted():
    pairing = make_pairing(GREEN, RED)
    assert pairing.add_image(receive(1, GREEN), NO_BEHAVIOR) is None
    assert pairing.add_image(receive(2, RED), NO_BEHAVIOR) is None
    assert pairing.n_unpaired == 1
    assert pairing.add_image(receive(2, GREEN), NO_BEHAVIOR) is not None


def test_a_channel_that_the_session_lacks_is_refused():
    with pytest.raises(UserError, match=r"registration.channel = 4, but the session"):
        make_pairing(GREEN, 4)
