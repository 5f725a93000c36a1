"""The sending half of what the daemon says: every header stamped, nothing waits."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import zmq

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.messages import Published
from rtrecon.transport import sockets


class Publisher:
    """Sends published messages through one socket, numbered per topic.

    A message that the transport does not take at once is dropped and counted in
    `lost`: whoever listens sees it as a jump in `seq`.
    """

    def __init__(self, socket: sockets.Socket) -> None:
        self.session = ""
        self.lost = 0
        self._socket = socket
        self._seq: dict[type, int] = {}

    def begin(self, session: str) -> None:
        """Begin a session: numbers start anew."""
        self.session = session
        self._seq = {}

    def send(
        self, kind: type[Published], payload: Array | bytes = b"", **fields: Any
    ) -> Any:
        """Publish a message of `kind` with these header fields; returns the header."""
        seq = self._seq[kind] = self._seq.get(kind, -1) + 1
        message = kind(session=self.session, seq=seq, t=time.time(), **fields)
        self.forward(messages.encode_published(message, payload))
        return message

    def numbered(self, event: messages.Event) -> messages.Event:
        """Return another's event with the next number: events are one topic."""
        seq = self._seq[messages.Event] = self._seq.get(messages.Event, -1) + 1
        return msgspec.structs.replace(event, seq=seq)

    def forward(self, parts: list[Any]) -> None:
        """Pass on a message that is encoded already."""
        try:
            self._socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            self.lost += 1
