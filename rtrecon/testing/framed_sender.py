"""A sender that knows only TCP, as a MATLAB program would be written."""

from __future__ import annotations

import socket
import time
import uuid

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.transport import framed, sockets

TIMEOUT_S = 20.0


class FramedSender:
    """One connection, one session; keeps at most a window of messages under way."""

    def __init__(self, address: str, token: bytes | None = None, session: str = ""):
        self.session = session or str(uuid.uuid4())
        self.seq = self.sent = self.dropped = self.under_way = 0
        self.connection = socket.create_connection(
            sockets.host_and_port(address), TIMEOUT_S
        )
        self.asked = self.exactly(framed.ANSWER_BYTES) if token else b""
        if token:
            self.connection.sendall(framed.answer(token, self.asked))
            if self.exactly(1) != framed.TAKEN:
                self.connection.close()
                raise ConnectionRefusedError

    def __enter__(self) -> FramedSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def start(self, shape: tuple[int, int], rate_hz: float = 30.0) -> None:
        fields = {"session": self.session, "seq": self.seq, "source": "framed"}
        self.say(messages.Start(**fields, rate_hz=rate_hz, shape=shape))

    def frame(self, pixels: Array, number: int, t: float) -> bool:
        """Send a frame; False, and counted, where too many are under way."""
        self.thanked(wait=False)
        if self.under_way >= framed.WINDOW:
            self.dropped += 1
            return False
        fields = {"session": self.session, "seq": self.seq, "frame": number}
        layout = {"shape": pixels.shape, "dtype": pixels.dtype.name}
        times = {"t": t, "t_send": time.time(), "dropped": self.dropped}
        self.say(messages.Frame(**fields, **layout, **times), pixels)
        self.sent += 1
        return True

    def say(self, message: messages.Incoming, payload: object = b"") -> None:
        self.connection.sendall(framed.encode(*messages.encode(message, payload)))
        self.seq += 1
        self.under_way += 1

    def thanked(self, wait: bool) -> None:
        """Count what was taken in; wait until all that was sent is."""
        self.connection.setblocking(wait)
        try:
            while self.under_way:
                thanks = self.connection.recv(self.under_way)
                assert thanks == framed.TAKEN * len(thanks) != b""
                self.under_way -= len(thanks)
        except BlockingIOError:
            pass
        finally:
            self.connection.settimeout(TIMEOUT_S)

    def exactly(self, count: int) -> bytes:
        came = b""
        while len(came) < count:
            part = self.connection.recv(count - len(came))
            assert part, f"closed after {came!r}"
            came += part
        return came
