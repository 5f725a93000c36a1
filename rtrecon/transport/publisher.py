"""Publisher: sends the messages of the daemon and its workers; never waits."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import zmq

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.messages import PublishedMessage
from rtrecon.transport import sockets


class Publisher:
    """Sends published messages through one socket, numbered per topic.

    A message that the transport does not take at once is dropped and counted in
    `n_lost`; subscribers see a gap in `seq`.
    """

    def __init__(self, socket: sockets.Socket) -> None:
        self.session = ""
        self.n_lost = 0
        self._socket = socket
        self._seq: dict[type, int] = {}

    def begin_session(self, session: str) -> None:
        """Use this session id from now on; number messages and count losses from 0."""
        self.session = session
        self._seq, self.n_lost = {}, 0

    def publish(
        self,
        message_class: type[PublishedMessage],
        payload: Array | bytes = b"",
        **fields: Any,
    ) -> Any:
        """Publish a message of this class with these header fields; return it."""
        message = message_class(
            session=self.session,
            seq=self._next_seq(message_class),
            t=time.time(),
            **fields,
        )
        self.forward_parts(messages.encode_published(message, payload))
        return message

    def renumber_event(self, event: messages.Event) -> messages.Event:
        """Return a worker's event with this publisher's next number of events."""
        return msgspec.structs.replace(event, seq=self._next_seq(messages.Event))

    def forward_parts(self, parts: list[Any]) -> None:
        """Send a message that is encoded already."""
        try:
            self._socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            self.n_lost += 1

    def _next_seq(self, message_class: type[PublishedMessage]) -> int:
        seq = self._seq.get(message_class, -1) + 1
        self._seq[message_class] = seq
        return seq
