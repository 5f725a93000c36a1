"""The sending half of the contract: never blocks, counts what it could not send."""

from __future__ import annotations

import time
import uuid
from typing import Any

import zmq

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.connection import Connection
from rtrecon.transport.keys import ClientKeys

RESTART_EVERY_S = 1.0  # `start` is repeated, so that a late daemon learns the session


class Sender:
    """Sends one session's messages to a daemon.

    Remembers the session id, its own message counter and the start message. A full
    queue or an absent daemon costs the message, which is counted in `dropped`.
    """

    def __init__(
        self, address: str, keys: ClientKeys | None = None, **start: Any
    ) -> None:
        self.session = str(uuid.uuid4())
        self.sent = 0  # frames handed to the transport
        self.dropped = 0  # frames that were not
        self.wait_s = 0.0  # for room in the queue; beside a microscope never wait
        self._seq = 0
        self._address, self._start = address, start
        self._started_at = -RESTART_EVERY_S
        self._context: sockets.Context = zmq.Context()
        self._connection = Connection(self._context, zmq.PUSH, address, keys)
        self._socket = self._connection.socket

    def wait_for_daemon(self, timeout_s: float = 30.0) -> bool:
        """Wait until a daemon takes the start message.

        False, and `absence` tells why, if none came in time or it turned us away.
        """
        deadline = time.monotonic() + timeout_s
        while not self._send(messages.Start(**self._header(), **self._start)):
            if self._connection.refusal() or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        self._started_at = time.monotonic()
        return True

    def absence(self) -> str:
        """Return a sentence on why nobody took the start message."""
        none = f"no daemon listens at {self._address}; start one with 'rtrecon run'"
        return self._connection.refusal() or none

    def frame(self, pixels: Array, frame: int, t: float, **fields: Any) -> bool:
        """Send one frame of int16 or uint16 pixels (lines, pixels); False if lost."""
        self._repeat_start()
        message = messages.Frame(
            **self._header(),
            frame=frame,
            t=t,
            t_send=time.time(),
            shape=(pixels.shape[0], pixels.shape[1]),
            dtype=pixels.dtype.name,  # type: ignore[arg-type]  # refused on arrival
            dropped=self.dropped,
            **fields,
        )
        if self._send(message, pixels):
            self.sent += 1
            return True
        self.dropped += 1
        return False

    def stimulus(self, image: Array, clip: str, index: int, t: float) -> bool:
        """Send one stimulus frame, uint8 (height, width), on the microscope's clock."""
        message = messages.Stimulus(
            session=self.session,
            seq=self._seq,
            clip=clip,
            index=index,
            t=t,
            shape=(image.shape[0], image.shape[1]),
        )
        return self._send(message, image)

    def behavior(self, t: float, **values: Any) -> bool:
        """Send a behaviour sample: pupil_dilation, running_speed, pupil_x, pupil_y."""
        return self._send(messages.Behavior(**self._header(), t=t, **values))

    def sync(self, t: float, line: int, value: int) -> bool:
        """Send an edge of a digital line, on the microscope's clock."""
        message = messages.Sync(
            **self._header(), t=t, t_send=time.time(), line=line, value=value
        )
        return self._send(message)

    def end(self, reason: str) -> bool:
        """Say that the session is over, with the counts."""
        message = messages.End(
            session=self.session,
            seq=self._seq,
            reason=reason,
            frames=self.sent,
            dropped=self.dropped,
        )
        return self._send(message)

    def close(self, linger_s: float = sockets.LINGER_MS / 1000) -> None:
        """Close the socket, giving queued messages `linger_s` to leave."""
        self._connection.close(linger_s)
        self._context.term()

    def _repeat_start(self) -> None:
        if time.monotonic() - self._started_at >= RESTART_EVERY_S:
            self._started_at = time.monotonic()
            self._connection.refusal()  # read, or ZeroMQ stops: see `Connection`
            self._send(messages.Start(**self._header(), **self._start))

    def _header(self) -> dict[str, Any]:
        return {"session": self.session, "seq": self._seq}

    def _send(self, message: messages.Incoming, payload: Any = b"") -> bool:
        if self.wait_s:
            self._socket.poll(round(1000 * self.wait_s), zmq.POLLOUT)
        try:
            self._socket.send_multipart(
                messages.encode(message, payload), zmq.DONTWAIT, copy=True
            )
        except zmq.Again:
            return False
        self._seq = message.seq + 1
        return True
