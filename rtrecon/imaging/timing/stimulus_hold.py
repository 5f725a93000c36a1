"""Holds the pictures of stimulus programs, so that each encoder frame has one.

A screen rarely refreshes at the encoder's rate. At 60 Hz, two pictures fall into an
encoder frame, and the first stands for it; at 24 Hz, some encoder frames would have
none, although the screen still shows the last picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtrecon.core.types import Array

MAX_HOLD_S = 0.25  # a longer gap is a pause of the program, and stays unknown
_MAX_SENDERS = 16


@dataclass(frozen=True)
class ShownPicture:
    """A picture and the encoder frame in which it appeared.

    image: uint8 (height, width).
    """

    encoder_frame: int
    clip: str
    image: Array


@dataclass
class _Sender:
    newest: ShownPicture
    last_filled: int  # the highest encoder frame that has a picture


class StimulusHold:
    """The newest picture of each sender; a sender that is silent longest is forgotten.

    Two senders are kept apart, so that a session of two stimulus programs shows it.
    """

    def __init__(self, encoder_rate_hz: float) -> None:
        self._max_frames = max(1, round(MAX_HOLD_S * encoder_rate_hz))
        self._senders: dict[str, _Sender] = {}  # by session, oldest picture first

    def add_picture(self, sender: str, picture: ShownPicture) -> list[ShownPicture]:
        """Add a picture; return what the encoder frames up to it have shown.

        At most one picture per encoder frame: none if this frame has one already.
        """
        held = replace(picture, image=picture.image.copy())  # messages reuse memory
        known = self._senders.pop(sender, None)
        if known is None:
            self._remember(sender, _Sender(held, picture.encoder_frame))
            return [picture]
        shown = self._list_shown(known, picture)
        last_filled = max(known.last_filled, picture.encoder_frame)
        self._remember(sender, _Sender(held, last_filled))
        return shown

    def _list_shown(self, known: _Sender, picture: ShownPicture) -> list[ShownPicture]:
        newest, frame = known.newest, picture.encoder_frame
        if frame == newest.encoder_frame:
            return []
        missing = range(known.last_filled + 1, frame)
        if not 0 < frame - newest.encoder_frame <= self._max_frames:
            missing = range(0)
        return [*(replace(newest, encoder_frame=k) for k in missing), picture]

    def _remember(self, name: str, sender: _Sender) -> None:
        if len(self._senders) >= _MAX_SENDERS:
            del self._senders[next(iter(self._senders))]
        self._senders[name] = sender
