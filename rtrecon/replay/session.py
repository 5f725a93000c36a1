"""A session that was recorded, again: frames and all beside them, at any speed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import zmq
from msgspec.structs import replace

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.replay.client import ReplayError, ReplayReport, paced, require_pace
from rtrecon.replay.timed_messages import Cue, from_log, from_tables
from rtrecon.session.session import Session
from rtrecon.sources.recording import Recording
from rtrecon.transport import sockets
from rtrecon.transport.connection import Connection
from rtrecon.transport.keys import ClientKeys

DAEMON_TIMEOUT_S = 30.0  # for a daemon to be there
TAKE_TIMEOUT_S = 120.0  # for one that waits for its inverter to take the next message
_EXACT = 2**10  # a time moved by parts of this is as exact as it was

Progress = Callable[[int, int | None], None]  # frames done, of how many


def replay_session(
    folder: Path,
    address: str,
    *,
    speed: float | None = 1.0,
    images: Recording | None = None,
    keys: ClientKeys | None = None,
    on_progress: Progress | None = None,
) -> ReplayReport:
    """Send a recorded session to the daemon at `address`.

    Messages leave at their times divided by `speed`, or as soon as they are taken with
    None; none is dropped: a daemon that is slower than that makes the rest late.
    `images` stands in where frames were not recorded. Raises `NotARecording`,
    `NothingToReplay`, or `ReplayError` where no daemon takes what is sent.
    """
    require_pace(speed)
    session = Session(folder)
    cues = from_tables(session, images) if images else from_log(session)
    tell = on_progress or (lambda _done, _total: None)
    total, frames, began_s = len(session.frames), 0, time.monotonic()
    with _Door(address, keys) as door:
        for message, payload in _as_new(paced(cues, lambda cue: cue.due_s, speed)):
            door.send(message, payload)
            frames += isinstance(message, messages.Frame)
            tell(frames, total)
    return ReplayReport(frames, 0, time.monotonic() - began_s)


def _as_new(cues: Iterator[Cue]) -> Iterator[tuple[messages.Incoming, Array]]:
    """Yield messages as of senders of today: a session that has ended is over."""
    names: dict[str, str] = {}
    later_s: float | None = None  # the same for all: no clock changes against another
    for cue in cues:
        if later_s is None:
            later_s = round((time.time() - cue.due_s) * _EXACT) / _EXACT
        message = cue.message
        name = names.setdefault(message.session, str(uuid.uuid4()))
        message = replace(message, session=name)
        t_send = getattr(message, "t_send", None)
        if t_send is not None:
            message = replace(message, t_send=t_send + later_s)
        yield message, cue.payload


class _Door:
    """The daemon's door: every message waits until it is taken."""

    def __init__(self, address: str, keys: ClientKeys | None) -> None:
        self._address = address
        self._timeout_s = DAEMON_TIMEOUT_S
        self._context: sockets.Context = zmq.Context()
        self._connection = Connection(self._context, zmq.PUSH, address, keys)

    def __enter__(self) -> _Door:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close(TAKE_TIMEOUT_S)
        self._context.term()

    def send(self, message: messages.Incoming, payload: Array) -> None:
        """Send, as soon as there is room; `ReplayError` if there is none for long."""
        if not self._connection.waited(zmq.POLLOUT, self._timeout_s):
            raise ReplayError(
                self._connection.refusal()
                or f"no daemon took a message at {self._address} for "
                f"{self._timeout_s:g} s; is 'rtrecon run' up?"
            )
        self._timeout_s = TAKE_TIMEOUT_S
        self._connection.socket.send_multipart(messages.encode(message, payload))
