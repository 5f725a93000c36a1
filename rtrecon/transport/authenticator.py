"""Authentication of clients: ZeroMQ asks at every handshake, a key folder answers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import zmq
from zmq.auth import Authenticator

from rtrecon.transport.keys import DaemonKeys

ZAP_DOMAIN = "rtrecon"  # of every socket with keys; without one, anybody gets in
_MAX_HANDSHAKES_PER_POLL = 8  # so that connection attempts cannot delay frames
_MAX_NOTICES = 32


class CurveAuthenticator:
    """Answers the handshakes of all sockets of a context (ZAP, RFC 27).

    The folder of allowed keys is read at every handshake, so that adding or deleting a
    key takes effect at once. `n_rejected` counts the rejected clients.
    """

    def __init__(self, context: zmq.Context[Any], keys: DaemonKeys) -> None:
        self.n_rejected = 0
        self._keys = keys
        self._notices: deque[str] = deque(maxlen=_MAX_NOTICES)
        self._zap = Authenticator(context)
        self._zap.configure_curve_callback(ZAP_DOMAIN, self)
        self._zap.start()

    @property
    def socket(self) -> zmq.Socket[Any]:
        """Readable when a client tries to connect."""
        return self._zap.zap_socket

    def callback(self, _domain: str, public: bytes) -> bool:
        """Return whether this public key is allowed; called by ZeroMQ's class."""
        if self._keys.is_allowed(public):
            return True
        self.n_rejected += 1
        self._notices.append(
            f"a client with an unknown key, {public.decode()}, was rejected; if it is "
            "a computer of yours, make a key folder for it with 'rtrecon keys'"
        )
        return False

    def answer_handshakes(self) -> None:
        """Answer the clients that are connecting; never waits."""
        for _ in range(_MAX_HANDSHAKES_PER_POLL):
            try:
                request = self._zap.zap_socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            asyncio.run(self._zap.handle_zap_message(request))

    def take_notices(self) -> list[str]:
        """Return the notices about rejected clients since the last call."""
        notices = list(self._notices)
        self._notices.clear()
        return notices

    def close(self) -> None:
        """Stop answering: no further client can connect."""
        self._zap.stop()
