"""Replays a recorded session: frames and everything sent beside them, at any speed."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import zmq
from msgspec.structs import replace

from rtrecon.protocol import messages
from rtrecon.replay.client import (
    DAEMON_TIMEOUT_S,
    QUEUE_TIMEOUT_S,
    FrameCountCallback,
    NoticeCallback,
    Pacing,
    ReplayError,
    ReplayReport,
    ignore_notice,
    require_accepted,
    require_valid_pace,
    send_paced,
)
from rtrecon.replay.timed_messages import (
    TimedMessage,
    describe_log_damage,
    read_logged_session,
    rebuild_from_tables,
)
from rtrecon.session.session import Session
from rtrecon.sources.recording import Recording
from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.monitored_socket import MonitoredSocket

_STEPS_PER_SECOND = 2**10  # shifting a time by a multiple of this keeps it exact


def replay_session(
    folder: Path,
    address: str,
    *,
    speed: float | None = 1.0,
    images: Recording | None = None,
    keys: ClientKeys | None = None,
    control: str | None = None,
    notify: NoticeCallback = ignore_notice,
    on_progress: FrameCountCallback | None = None,
) -> ReplayReport:
    """Send a recorded session to the daemon at `address`.

    Messages leave at their times divided by `speed`; None: as soon as they are taken.
    No message is dropped: if the daemon is slower, the rest is late. images: the frames
    of a session that was recorded without raw messages. control: address at which the
    daemon says whether it takes the session. notify: called with a sentence if that is
    not known. Raises `NotASessionError`,
    `NothingToReplayError`, or `ReplayError` if no daemon takes the session.
    """
    require_valid_pace(speed)
    session = Session(folder)
    if images:
        timed_messages = rebuild_from_tables(session, images)
    else:
        timed_messages = read_logged_session(session)
    with _LoggedMessageSender(address, keys, control, notify) as sender:
        report = send_paced(
            _renew_messages(timed_messages),
            Pacing(lambda message: message.due_s, speed),
            sender.send,
            sender,
            on_progress,
            len(session.frames),
        )
    notice = "" if images else describe_log_damage(session)
    return dataclasses.replace(report, notice=notice)


def _renew_messages(timed_messages: Iterator[TimedMessage]) -> Iterator[TimedMessage]:
    """Yield the messages with a new session id and times of sending from now on.

    All times are shifted by the same amount, so that no clock moves against another.
    """
    new_ids: dict[str, str] = {}
    shift_s: float | None = None
    for timed in timed_messages:
        if shift_s is None:
            exact_s = (time.time() - timed.due_s) * _STEPS_PER_SECOND
            shift_s = round(exact_s) / _STEPS_PER_SECOND
        message = timed.message
        new_id = new_ids.setdefault(message.session, str(uuid.uuid4()))
        message = replace(message, session=new_id)
        t_send = getattr(message, "t_send", None)
        if t_send is not None:
            message = replace(message, t_send=t_send + shift_s)
        if isinstance(message, messages.SessionStart):
            message = replace(message, can_wait=True)
        yield TimedMessage(timed.due_s, message, timed.payload)


class _LoggedMessageSender:
    """Sends messages as they were logged; each waits until the daemon takes it.

    n_sent counts frames.
    """

    def __init__(
        self,
        address: str,
        keys: ClientKeys | None,
        control: str | None,
        notify: NoticeCallback,
    ) -> None:
        self.n_sent = 0
        self.n_dropped = 0
        self._address, self._keys, self._control = address, keys, control
        self._notify = notify
        self._has_asked = False
        self._timeout_s = DAEMON_TIMEOUT_S
        self._context: sockets.Context = zmq.Context()
        self._monitored = MonitoredSocket(self._context, zmq.PUSH, address, keys)

    def __enter__(self) -> _LoggedMessageSender:
        return self

    def __exit__(self, *_: object) -> None:
        self._monitored.close(QUEUE_TIMEOUT_S)
        self._context.term()

    def send(self, timed: TimedMessage) -> None:
        """Send a message as soon as there is space.

        Raises `ReplayError` after the timeout, or if the daemon refuses the session.
        """
        if not self._monitored.wait_ready(zmq.POLLOUT, self._timeout_s):
            raise ReplayError(
                self._monitored.read_refusal()
                or f"no daemon took a message at {self._address} for "
                f"{self._timeout_s:g} s; is 'rtrecon run' up?"
            )
        self._timeout_s = QUEUE_TIMEOUT_S
        parts = messages.encode_incoming(timed.message, timed.payload)
        self._monitored.socket.send_multipart(parts)
        self.n_sent += isinstance(timed.message, messages.Frame)
        if isinstance(timed.message, messages.SessionStart) and not self._has_asked:
            self._has_asked = True  # starts are repeated
            session = timed.message.session
            if unknown := require_accepted(
                self._address, self._control, session, self._keys
            ):
                self._notify(unknown)
