"""Joins the images of two channels of one frame: signal and registration channel."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.daemon.plane import PlaneFrame
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BehaviorValues


@dataclass(frozen=True)
class ReceivedFrame:
    """A frame message, its pixels, and when it arrived (s, this computer's clock)."""

    message: messages.Frame
    pixels: Array
    t_received: float


class ChannelPairing:
    """Turns received images into frames of a plane.

    Activity is read from the signal channel, motion is estimated from the registration
    channel; by default they are the same. Images of other channels are not used.
    `n_unpaired` counts images whose other channel never arrived.
    """

    def __init__(self, start: messages.SessionStart, settings: Settings) -> None:
        self.n_unpaired = 0
        self._signal, self._registration = _choose_channels(start, settings)
        self._pending: dict[int, ReceivedFrame] = {}  # by plane

    @property
    def n_channels(self) -> int:
        """Number of images that are used of each frame: 1 or 2."""
        return len({self._signal, self._registration})

    @property
    def n_pending(self) -> int:
        """Number of images that wait for their other channel."""
        return len(self._pending)

    def is_used(self, received: ReceivedFrame) -> bool:
        """Return whether the image is of a channel that is used."""
        return received.message.channel in (self._signal, self._registration)

    def add_image(
        self, received: ReceivedFrame, behavior: BehaviorValues
    ) -> PlaneFrame | None:
        """Take an image of a used channel; return the frame that it completes, if any.

        behavior: the newest values; kept with the frame so that a replay repeats them.
        """
        message, t_received = received.message, received.t_received
        if self._signal == self._registration:
            image = received.pixels
            return PlaneFrame(message, image, image, t_received, behavior=behavior)
        pending = self._pending.pop(message.plane, None)
        if pending is None or pending.message.frame != message.frame:
            self.n_unpaired += pending is not None
            self._pending[message.plane] = received
            return None
        signal, registration = pending, received
        if pending.message.channel != self._signal:
            signal, registration = received, pending
        images = signal.pixels, registration.pixels
        return PlaneFrame(signal.message, *images, t_received, 2, behavior)


def _choose_channels(
    start: messages.SessionStart, settings: Settings
) -> tuple[int, int]:
    """Return the signal and the registration channel; UserError if one is absent."""
    signal = settings.traces.channel or start.channels[0]
    registration = settings.registration.channel or signal
    for section, channel in (("traces", signal), ("registration", registration)):
        if channel not in start.channels:
            raise UserError(
                f"{section}.channel = {channel}, but the session has channels "
                f"{start.channels}; choose one of these"
            )
    return signal, registration
