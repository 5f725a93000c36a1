"""Receives what a sender sends, in place of a daemon."""

from __future__ import annotations

import threading
import time

import zmq

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.transport import sockets


class FrameReceiver:
    """Binds a PULL socket and collects (header, payload) until the end message.

    `pause_s` after each message makes it slow; `stall_s` delays the first.

        with FrameReceiver("tcp://127.0.0.1:5560") as receiver:
            run_my_sender()
        assert len(receiver.frames()) == 100
    """

    def __init__(
        self, address: str, pause_s: float = 0.0, stall_s: float = 0.0
    ) -> None:
        self.received: list[tuple[messages.IncomingMessage, Array]] = []
        self._pause_s, self._stall_s = pause_s, stall_s
        self._context: sockets.Context = zmq.Context()
        self._socket = sockets.bind_socket(self._context, zmq.PULL, address)
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def __enter__(self) -> FrameReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._socket.close()
        self._context.term()

    def frames(self) -> list[tuple[messages.Frame, Array]]:
        """Return the received frames."""
        return [
            (message, pixels)
            for message, pixels in self.received
            if isinstance(message, messages.Frame)
        ]

    def _collect(self) -> None:
        time.sleep(self._stall_s)
        while self._socket.poll(10_000):
            parts = self._socket.recv_multipart()
            message, payload = messages.decode_incoming(parts)
            self.received.append((message, payload))
            if isinstance(message, messages.SessionEnd):
                return
            time.sleep(self._pause_s)
