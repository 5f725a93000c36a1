"""Sends a recording to the daemon in time: the one path of every kind of replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from rtrecon.config import NetworkSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol.fields import UM_PER_PX
from rtrecon.sources.recording import RecordedFrame, Recording
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.senders import SessionSender
from rtrecon.transport.sockets import is_listening, split_address

DAEMON_TIMEOUT_S = 30.0  # for a daemon to be there, and to take what is queued
QUEUE_TIMEOUT_S = 120.0  # for a daemon whose queues are full before it continues
ANSWER_TIMEOUT_S = 25.0  # for a daemon that still processes the session before
_ANSWER_INTERVAL_S = 0.02
END_TIMEOUT_S = 1.0  # for the daemon to take the last message, which is only a hint

T = TypeVar("T")
NoticeCallback = Callable[[str], None]  # a sentence for the user
FrameCountCallback = Callable[[int, int | None], None]  # frames done, of how many


class ReplayError(UserError):
    """A replay that cannot continue; its text says why and what to do."""


def ignore_notice(_: str) -> None:
    """Do nothing with a sentence."""


@dataclass(frozen=True)
class ReplayReport:
    """What became of the frames. `notice` is a sentence if the recording is damaged."""

    frames_sent: int
    frames_dropped: int
    wall_s: float
    notice: str = ""


@dataclass(frozen=True)
class Pacing(Generic[T]):
    """When items leave: at their recorded times divided by `speed`.

    get_time_s: returns an item's time in the recording. speed: None = as soon as the
    daemon takes them.
    """

    get_time_s: Callable[[T], float]
    speed: float | None

    def wait_until_due(self, items: Iterable[T]) -> Iterator[T]:
        """Yield each item when it is due; delays do not add up."""
        started_s, first_s = 0.0, None
        for item in items:
            if first_s is None:
                started_s, first_s = time.monotonic(), self.get_time_s(item)
            if self.speed is not None:
                due_s = started_s + (self.get_time_s(item) - first_s) / self.speed
                time.sleep(max(0.0, due_s - time.monotonic()))
            yield item


class FrameCounter(Protocol):
    """A sender that counts its frames."""

    n_sent: int
    n_dropped: int


def send_paced(
    items: Iterable[T],
    pacing: Pacing[T],
    send: Callable[[T], None],
    counter: FrameCounter,
    on_progress: FrameCountCallback | None,
    n_frames: int | None = None,
) -> ReplayReport:
    """Send items when they are due, until they end or one cannot be sent.

    n_frames: how many frames there are, if known; for `on_progress`, which is called
    after each item. Raises what `send` and the items raise.
    """
    started_s = time.monotonic()
    for item in pacing.wait_until_due(items):
        send(item)
        if on_progress:
            on_progress(counter.n_sent + counter.n_dropped, n_frames)
    wall_s = time.monotonic() - started_s
    return ReplayReport(counter.n_sent, counter.n_dropped, wall_s)


@dataclass(frozen=True)
class ReplayClient:
    """Connects to a daemon and sends sessions to it.

    timeout_s: for a daemon to be there, and to take what is queued in the end.
    queue_timeout_s: for each frame to be taken, else `ReplayError`; 0 = a frame that is
    not taken at once is dropped and counted. keys: a client's, if the daemon requires
    keys. control: the daemon's control address, at which it says whether it refuses
    the session; None = do not ask. notify: called with a sentence if that is not known.
    """

    address: str
    keys: ClientKeys | None
    timeout_s: float
    queue_timeout_s: float = 0.0
    control: str | None = None
    notify: NoticeCallback = ignore_notice

    @contextmanager
    def open_session(self, **start: Any) -> Iterator[SessionSender]:
        """Start a session with a daemon; end it in any case.

        start: arguments of `SessionSender`. Raises `ReplayError` if there is no daemon,
        or with the daemon's sentence if it refuses the session.
        """
        can_wait = self.queue_timeout_s > 0
        sender = SessionSender(self.address, self.keys, can_wait=can_wait, **start)
        try:
            if not sender.wait_for_daemon(self.timeout_s):
                raise ReplayError(sender.explain_missing_daemon())
            if self.control or can_wait:  # a live source is not held up
                self._report_acceptance(sender.session)
            sender.queue_timeout_s = self.queue_timeout_s
            yield sender
        finally:
            sender.queue_timeout_s = END_TIMEOUT_S
            sender.send_end("replay over")
            sender.close(self.timeout_s)

    def _report_acceptance(self, session: str) -> None:
        unknown = require_accepted(self.address, self.control, session, self.keys)
        if unknown:
            self.notify(unknown)


def require_accepted(
    address: str, control: str | None, session: str, keys: ClientKeys | None
) -> str:
    """Wait until the daemon at `control` has begun the session.

    Raises `ReplayError` with the daemon's sentence if it refuses the session. Returns a
    sentence if it is not known whether the daemon at `address` takes the session: no
    daemon answers at `control`, or none that receives this session.
    """
    unknown = "it is not known whether the daemon takes this session: "
    advice = "; name the daemon's control address with --control"
    if control is None:
        return (
            f"{unknown}nobody was asked, because {address} is not the default address"
            f"{advice}"
        )
    deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            answer = call_daemon(control, "session", keys, session=session)
        except RpcError as error:
            if not is_listening(control):
                return f"{unknown}{error}{advice}"
            continue  # the daemon listens, but still warms up
        if answer["is_refused"]:
            raise ReplayError(f"the daemon refuses the session: {answer['sentence']}")
        if answer["is_current"]:
            return ""
        time.sleep(_ANSWER_INTERVAL_S)
    return (
        f"{unknown}the daemon at {control} does not receive it within "
        f"{ANSWER_TIMEOUT_S:g} s{advice}"
    )


def guess_control_address(frames: str) -> str | None:
    """Return the control address of the daemon that receives frames at `frames`.

    None if the port is not the default one: then the control port is another, too.
    """
    defaults = NetworkSettings()
    _, default_port = split_address(defaults.frames)
    host, port = split_address(frames)
    if port != default_port:
        return None
    _, control_port = split_address(defaults.control)
    return f"tcp://{f'[{host}]' if ':' in host else host}:{control_port}"


def require_valid_pace(speed: float | None, loops: int | None = 1) -> None:
    """Raise `ReplayError` for a speed or a number of loops that makes no sense."""
    if speed is not None and not speed > 0:
        raise ReplayError(f"speed {speed} is not positive; 1 is as it was recorded")
    if loops is not None and loops < 1:
        raise ReplayError(f"{loops} loops would send nothing; give 1 or more")


def describe_recording(recording: Recording, prefix: str = "") -> dict[str, object]:
    """Return the fields of a recording's start message. prefix: of its name."""
    return {
        "source": f"{prefix}{recording.name}",
        "rate_hz": recording.rate_hz,
        "shape": recording.shape,
        "dtype": recording.dtype.name,
        "channels": list(recording.channels),
        "planes": list(recording.planes),
        "meta": dict(recording.meta) | _describe_scale(recording),
    }


def _describe_scale(recording: Recording) -> dict[str, object]:
    if recording.um_per_px is None:
        return {}
    return {UM_PER_PX: recording.um_per_px}


def send_recorded_frame(sender: SessionSender, frame: RecordedFrame) -> None:
    """Send one frame; `ReplayError` if the daemon does not take it in time."""
    is_sent = sender.send_frame(
        frame.pixels,
        frame.number,
        frame.t_s,
        channel=frame.channel,
        plane=frame.plane,
        roi=frame.scan_field,
    )
    if sender.queue_timeout_s and not is_sent:
        raise ReplayError(
            f"the daemon took no frame for {sender.queue_timeout_s:g} s, at frame "
            f"{frame.number}; is it still running?"
        )
