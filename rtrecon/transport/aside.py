"""A program beside the microscope: it tells what it knows, on a clock of its own."""

from __future__ import annotations

import uuid
from typing import Any

import zmq

from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys


class Aside:
    """Sends stimulus, behaviour and edges to a daemon; never says start, never waits.

    What the daemon does not take at once is lost, and counted in `dropped`.
    """

    def __init__(self, address: str, keys: ClientKeys | None = None) -> None:
        self.session = str(uuid.uuid4())
        self.sent = 0
        self.dropped = 0
        self._context: sockets.Context = zmq.Context()
        self._socket = sockets.connect(self._context, zmq.PUSH, address, keys)

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self, kind: type[messages.Incoming], payload: Any = b"", **fields: Any
    ) -> bool:
        """Send a message of this kind; `t_send` is our clock, `t` the microscope's."""
        message = kind(session=self.session, seq=self.sent, **fields)
        try:
            self._socket.send_multipart(messages.encode(message, payload), zmq.DONTWAIT)
        except zmq.Again:
            self.dropped += 1
            return False
        self.sent += 1
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        self._context.term()
