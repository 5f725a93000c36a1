"""Senders: programs that send messages to the daemon and never wait for it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import zmq

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.stimulus_space.video import VIDEO
from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.monitored_socket import MonitoredSocket

START_INTERVAL_S = 1.0  # `start` is repeated for a daemon that starts later


class MessageSender:
    """Sends numbered messages of one session through one socket.

    A message that the transport does not take at once is lost; `send` returns False.
    `queue_timeout_s` > 0 makes `send` wait that long for space in the queue; beside a
    microscope leave it at 0. Subclasses count what they send in `n_sent`, and what
    they lose in `n_dropped`.
    """

    def __init__(self, address: str, keys: ClientKeys | None = None) -> None:
        self.session = str(uuid.uuid4())
        self.queue_timeout_s = 0.0
        self.n_sent = 0
        self.n_dropped = 0
        self._address = address
        self._seq = 0  # messages that the transport has taken
        self._context: sockets.Context = zmq.Context()
        self._monitored = MonitoredSocket(self._context, zmq.PUSH, address, keys)

    def send(
        self,
        message_class: type[messages.IncomingMessage],
        payload: Any = b"",
        **fields: Any,
    ) -> bool:
        """Send a message of this class with these header fields; False if lost."""
        message = message_class(session=self.session, seq=self._seq, **fields)
        socket = self._monitored.socket
        if self.queue_timeout_s:
            socket.poll(round(1000 * self.queue_timeout_s), zmq.POLLOUT)
        try:
            socket.send_multipart(
                messages.encode_incoming(message, payload), zmq.DONTWAIT, copy=True
            )
        except zmq.Again:
            self._monitored.read_refusal()  # see `MonitoredSocket` why
            return False
        self._seq += 1
        return True

    def explain_missing_daemon(self) -> str:
        """Return a sentence that says why no daemon takes the messages."""
        missing = f"no daemon listens at {self._address}; start one with 'rtrecon run'"
        return self._monitored.read_refusal() or missing

    def close(self, linger_s: float = sockets.LINGER_MS / 1000) -> None:
        """Close the socket; queued messages get `linger_s` to be sent."""
        self._monitored.close(linger_s)
        self._context.term()

    def _count(self, is_sent: bool) -> None:
        if is_sent:
            self.n_sent += 1
        else:
            self.n_dropped += 1


class SessionSender(MessageSender):
    """Sends the frames of one session, as a microscope does, and what belongs to it.

    `unit_ids`: ids of the units, for spike rates in place of images. `start`: the other
    fields of the start message. `n_sent` and `n_dropped` count frames.
    """

    def __init__(
        self,
        address: str,
        keys: ClientKeys | None = None,
        unit_ids: Sequence[int] | None = None,
        **start: Any,
    ) -> None:
        super().__init__(address, keys)
        self._unit_ids = np.array([] if unit_ids is None else unit_ids, np.int64)
        if unit_ids is not None:
            start |= {"shape": (1, len(unit_ids)), "dtype": messages.RATE_DTYPE}
        self._start = start
        self._start_sent_s = -START_INTERVAL_S

    def wait_for_daemon(self, timeout_s: float = 30.0) -> bool:
        """Wait until a daemon takes the start message.

        Returns False if none does in time or the daemon refuses this client;
        `explain_missing_daemon` then gives the reason.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._send_start():
            if self._monitored.read_refusal() or time.monotonic() > deadline_s:
                return False
            time.sleep(0.02)
        self._start_sent_s = time.monotonic()
        return True

    def send_frame(
        self, pixels: Array, frame_number: int, t: float, **fields: Any
    ) -> bool:
        """Send one frame of int16 or uint16 pixels (lines, pixels); False if lost.

        `t`: the microscope's clock in s. `fields`: more fields of the frame's header.
        """
        self._repeat_start()
        is_sent = self.send(
            messages.Frame,
            pixels,
            frame=frame_number,
            t=t,
            t_send=time.time(),
            shape=(pixels.shape[0], pixels.shape[1]),
            dtype=pixels.dtype.name,
            dropped=self.n_dropped,
            **fields,
        )
        self._count(is_sent)
        return is_sent

    def send_stimulus(
        self, image: Array, clip: str, index: int, t: float, space: str = VIDEO.name
    ) -> bool:
        """Send one stimulus frame on the microscope's clock.

        image: uint8 levels or float32 values, (height, width) or as the space says.
        """
        return self.send(
            messages.StimulusFrame,
            image,
            clip=clip,
            index=index,
            t=t,
            shape=(image.shape[0], image.shape[1]),
            dtype=image.dtype.name,
            space=space,
        )

    def send_behavior(self, t: float, **values: Any) -> bool:
        """Send a sample of pupil_dilation, running_speed, pupil_x and pupil_y."""
        return self.send(messages.BehaviorSample, t=t, **values)

    def send_sync_edge(self, t: float, line: int, value: int) -> bool:
        """Send an edge of a digital line, on the microscope's clock."""
        return self.send(
            messages.SyncEdge, t=t, t_send=time.time(), line=line, value=value
        )

    def send_end(self, reason: str) -> bool:
        """Send that the session is over, with the counts."""
        return self.send(
            messages.SessionEnd,
            reason=reason,
            frames=self.n_sent,
            dropped=self.n_dropped,
        )

    def _repeat_start(self) -> None:
        if time.monotonic() - self._start_sent_s >= START_INTERVAL_S:
            self._start_sent_s = time.monotonic()
            self._monitored.read_refusal()  # see `MonitoredSocket` why
            self._send_start()

    def _send_start(self) -> bool:
        return self.send(messages.SessionStart, self._unit_ids, **self._start)


class AuxiliarySender(MessageSender):
    """Sends stimulus, behaviour and edges from a program beside the microscope.

    It has a clock of its own and never sends `start`. `n_sent` and `n_dropped` count
    messages.
    """

    def __enter__(self) -> AuxiliarySender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for_daemon(self, timeout_s: float = 5.0) -> bool:
        """Wait until a daemon takes messages; False if none does in time."""
        return self._monitored.wait_ready(zmq.POLLOUT, timeout_s)

    def send(
        self,
        message_class: type[messages.IncomingMessage],
        payload: Any = b"",
        **fields: Any,
    ) -> bool:
        """Send a message; `t_send` is this program's clock, `t` the microscope's."""
        is_sent = super().send(message_class, payload, **fields)
        self._count(is_sent)
        return is_sent
