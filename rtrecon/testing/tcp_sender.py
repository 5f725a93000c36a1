"""A sender that uses plain TCP only, as a MATLAB program does."""

from __future__ import annotations

import socket
import time
import uuid

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.transport import framing, sockets

TIMEOUT_S = 20.0


class TcpSender:
    """One connection and one session; keeps a bounded number of messages in flight."""

    def __init__(
        self, address: str, token: bytes | None = None, session: str = ""
    ) -> None:
        """Connect, and prove the token; `ConnectionRefusedError` if it is wrong."""
        self.session = session or str(uuid.uuid4())
        self.seq = self.n_sent = self.n_dropped = self.n_in_flight = 0
        host_and_port = sockets.split_address(address)
        self.connection = socket.create_connection(host_and_port, TIMEOUT_S)
        self.challenge = self.receive_exactly(framing.CHALLENGE_BYTES) if token else b""
        if token:
            self.connection.sendall(framing.make_response(token, self.challenge))
            if self.receive_exactly(1) != framing.ACKNOWLEDGED:
                self.connection.close()
                raise ConnectionRefusedError

    def __enter__(self) -> TcpSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send_start(self, shape: tuple[int, int], rate_hz: float = 30.0) -> None:
        """Send the start message."""
        self.send_message(
            messages.SessionStart(
                session=self.session,
                seq=self.seq,
                source="framed",
                rate_hz=rate_hz,
                shape=shape,
            )
        )

    def send_frame(self, pixels: Array, number: int, t: float) -> bool:
        """Send a frame; drop it and return False if too many are in flight."""
        self.read_acknowledgements(wait=False)
        if self.n_in_flight >= framing.MAX_IN_FLIGHT:
            self.n_dropped += 1
            return False
        header = messages.Frame(
            session=self.session,
            seq=self.seq,
            frame=number,
            t=t,
            t_send=time.time(),
            shape=(pixels.shape[0], pixels.shape[1]),
            dtype=pixels.dtype.name,  # type: ignore[arg-type]  # refused on arrival
            dropped=self.n_dropped,
        )
        self.send_message(header, pixels)
        self.n_sent += 1
        return True

    def send_message(
        self, message: messages.IncomingMessage, payload: bytes | Array = b""
    ) -> None:
        """Send a message; waits if the connection takes no more bytes."""
        parts = messages.encode_incoming(message, payload)
        self.connection.sendall(framing.encode_message(*parts))
        self.seq += 1
        self.n_in_flight += 1

    def read_acknowledgements(self, wait: bool) -> None:
        """Count acknowledged messages; with `wait`, wait until all are."""
        self.connection.setblocking(wait)
        try:
            while self.n_in_flight:
                received = self.connection.recv(self.n_in_flight)
                assert received == framing.ACKNOWLEDGED * len(received) != b""
                self.n_in_flight -= len(received)
        except BlockingIOError:
            pass
        finally:
            self.connection.settimeout(TIMEOUT_S)

    def receive_exactly(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        received = b""
        while len(received) < count:
            part = self.connection.recv(count - len(received))
            assert part, f"closed after {received!r}"
            received += part
        return received
