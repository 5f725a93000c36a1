"""Who is let in: ZeroMQ asks at every handshake, and a folder of keys answers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import zmq
from zmq.auth import Authenticator

from rtrecon.transport.keys import DaemonKeys

DOMAIN = "rtrecon"  # of every socket with keys: one without would let anybody in
_MAX_HANDSHAKES = 8  # answered in one go, so that knocking cannot hold up frames
_KEPT = 32  # refusals that wait to be told


class Gatekeeper:
    """Answers the handshakes of all sockets of a context (ZAP, RFC 27).

    Keys that are put into the folder of allowed ones or taken out of it count from the
    next handshake on. `refused` counts those turned away.
    """

    def __init__(self, context: zmq.Context[Any], keys: DaemonKeys) -> None:
        self.refused = 0
        self._keys = keys
        self._sentences: deque[str] = deque(maxlen=_KEPT)
        self._zap = Authenticator(context)
        self._zap.configure_curve_callback(DOMAIN, self)
        self._zap.start()

    @property
    def socket(self) -> zmq.Socket[Any]:
        """Readable when somebody knocks."""
        return self._zap.zap_socket

    def callback(self, _domain: str, public: bytes) -> bool:
        """Tell whether this key may talk; called by ZeroMQ's authenticator."""
        if self._keys.allows(public):
            return True
        self.refused += 1
        self._sentences.append(
            f"somebody with an unknown key, {public.decode()}, was not let in; if that "
            "is a computer of yours, make it a folder with 'rtrecon keys'"
        )
        return False

    def answer_waiting(self) -> None:
        """Answer who is waiting; never waits."""
        for _ in range(_MAX_HANDSHAKES):
            try:
                request = self._zap.zap_socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            asyncio.run(self._zap.handle_zap_message(request))

    def sentences(self) -> list[str]:
        """Return, and forget, who was refused since the last call."""
        told = list(self._sentences)
        self._sentences.clear()
        return told

    def close(self) -> None:
        """Stop answering: nobody with a key is let in any more."""
        self._zap.stop()
