"""What a daemon's door is to a sender: a real PULL socket on a free port."""

from __future__ import annotations

import threading
import time

import zmq

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.transport import sockets


class Listener:
    """Collects (header, payload) until a sender says end; `pause_s` makes it slow."""

    def __init__(self, address: str, pause_s: float = 0.0, stall_s: float = 0.0):
        self.messages: list[tuple[messages.Incoming, Array]] = []
        self._pause_s, self._stall_s = pause_s, stall_s
        self._context = zmq.Context()
        self._socket = sockets.bind(self._context, zmq.PULL, address)
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._socket.close()
        self._context.term()

    def frames(self) -> list[tuple[messages.Frame, Array]]:
        return [m for m in self.messages if isinstance(m[0], messages.Frame)]

    def _collect(self) -> None:
        time.sleep(self._stall_s)
        while self._socket.poll(10_000):
            self.messages.append(messages.decode(self._socket.recv_multipart()))
            if isinstance(self.messages[-1][0], messages.End):
                return
            time.sleep(self._pause_s)
