"""One sender's connection to the framed TCP server: token, messages, timeouts."""

from __future__ import annotations

import socket
import time
from collections import deque
from contextlib import suppress

from rtrecon.protocol.messages import MAX_PAYLOAD_BYTES
from rtrecon.transport import framing
from rtrecon.transport.framing import FramingError, MessageParser, RawMessage

RESPONSE_TIMEOUT_S = 5.0  # for the response to the challenge
MESSAGE_TIMEOUT_S = 10.0  # for a message that has begun
_MAX_ACKNOWLEDGE_BYTES = 4096  # in one write


class TcpConnection:
    """One connection: its proof of the token, and messages not yet forwarded.

    Methods raise `FramingError` if the server has to close the connection, and
    `OSError` or `EOFError` if the sender has closed it.
    """

    def __init__(
        self, connection: socket.socket, name: str, token: bytes | None
    ) -> None:
        self.connection = connection
        self.name = name
        self.pending: deque[RawMessage] = deque()
        self._token = token  # None once the sender has proved that it knows it
        self._challenge = framing.make_challenge() if token else b""
        self._response = bytearray()
        self._parser = MessageParser()
        self._n_unacknowledged = 0
        self._begun_s = time.monotonic()  # of the connection, or of the open message
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with suppress(OSError):  # closed already: the next read reports it
            connection.send(self._challenge)

    @property
    def has_space(self) -> bool:
        """Whether another message may be read before the pending ones are gone."""
        n_bytes = sum(len(payload) for _, payload in self.pending)
        return len(self.pending) < framing.MAX_IN_FLIGHT and n_bytes < MAX_PAYLOAD_BYTES

    def receive_bytes(self) -> None:
        """Read what has arrived, at most one message, so that others get their turn."""
        with suppress(BlockingIOError):
            if self._token:
                self._receive_response(self._token)
                return
            while True:
                if self._parser.is_idle:
                    self._begun_s = time.monotonic()
                count = self.connection.recv_into(self._parser.buffer)
                if not count:
                    raise EOFError
                message = self._parser.advance(count)
                if message:
                    self.pending.append(message)
                    return

    def _receive_response(self, token: bytes) -> None:
        n_missing = framing.CHALLENGE_BYTES - len(self._response)
        received = self.connection.recv(n_missing)
        if not received:
            raise EOFError
        self._response += received
        if len(self._response) < framing.CHALLENGE_BYTES:
            return
        if not framing.is_valid_response(token, self._challenge, bytes(self._response)):
            raise FramingError("it does not know the token")
        self._token = None
        self._n_unacknowledged += 1

    def check_timeouts(self, now_s: float) -> None:
        """Raise `FramingError` if the response or a message takes too long."""
        elapsed_s = now_s - self._begun_s
        if self._token and elapsed_s > RESPONSE_TIMEOUT_S:
            raise FramingError(
                f"it did not prove the token within {RESPONSE_TIMEOUT_S:g} s"
            )
        has_begun = not self._token and not self._parser.is_idle
        if has_begun and elapsed_s > MESSAGE_TIMEOUT_S:
            raise FramingError(
                f"a message was not finished within {MESSAGE_TIMEOUT_S:g} s"
            )

    def pop_forwarded(self) -> None:
        """Remove the oldest message, which was forwarded."""
        self.pending.popleft()
        self._n_unacknowledged += 1

    def acknowledge(self) -> None:
        """Acknowledge forwarded messages, as far as the connection takes bytes."""
        if self._n_unacknowledged:
            with suppress(BlockingIOError):
                count = min(self._n_unacknowledged, _MAX_ACKNOWLEDGE_BYTES)
                n_sent = self.connection.send(framing.ACKNOWLEDGED * count)
                self._n_unacknowledged -= n_sent

    def close_with_reason(self, reason: str) -> None:
        """Close the connection; send the reason if that is still possible."""
        with suppress(OSError):
            self.connection.send(framing.REJECTED + reason.encode())
            self.connection.shutdown(socket.SHUT_WR)
        self.connection.close()
