"""The messages that a recorded session is replayed from, each with its time.

If `recording.raw_messages` was on, every message received is in `raw_messages.rtr`.
Otherwise images come from a file that the microscope's own program saved, and stimulus
and behavior from the session's tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge

import numpy as np
from msgspec.structs import replace

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session.message_log import measure_log, read_logged_messages
from rtrecon.session.session import Session
from rtrecon.session.tables import RAW_MESSAGES_FILE
from rtrecon.sources.recording import Recording

_NO_PAYLOAD = np.empty(0, np.uint8)
_SESSION_ID = "session"  # replaced when the message is sent
_FrameKey = tuple[float, float]  # the microscope's frame counter, and the plane


class NothingToReplayError(UserError):
    """A session without images; its text says what to do."""


@dataclass(frozen=True)
class TimedMessage:
    """A message and when it is due, in s on any clock."""

    due_s: float
    message: messages.IncomingMessage
    payload: Array


def read_logged_session(session: Session) -> Iterator[TimedMessage]:
    """Yield every message received, due when it was; add an end if there is none."""
    path = session.path / RAW_MESSAGES_FILE
    if not path.is_file():
        raise NothingToReplayError(
            f"{session.path} holds no images, because recording.raw_messages was off; "
            "give the file that the microscope's program saved with --frames"
        )
    timed = None
    for logged in read_logged_messages(path):
        try:
            decoded = messages.decode_incoming([logged.header, logged.payload])
        except messages.WireError as error:
            raise NothingToReplayError(f"{path} is damaged: {error}") from None
        timed = TimedMessage(logged.t_received_s, *decoded)
        yield timed
    if timed is None:
        raise NothingToReplayError(f"{path} holds no complete message")
    if not isinstance(timed.message, messages.SessionEnd):
        yield _make_end(timed, timed.message.seq + 1)


def describe_log_damage(session: Session) -> str:
    """Return a sentence if the log of raw messages is incomplete, else an empty one."""
    path = session.path / RAW_MESSAGES_FILE
    complete_bytes, last_received_s = measure_log(path)
    n_lost_bytes = path.stat().st_size - complete_bytes
    if not n_lost_bytes:
        return ""
    frames_s = session.frames["t_received_s"]
    lost_s = max(0.0, float(frames_s.max(initial=last_received_s)) - last_received_s)
    return (
        f"{path.name}: the last {n_lost_bytes} bytes are no complete message; the last "
        f"{lost_s:.1f} s of the session were not replayed"
    )


def rebuild_from_tables(session: Session, images: Recording) -> Iterator[TimedMessage]:
    """Yield the session's frames, taken from a file, its stimulus and its behavior."""
    table = session.frames
    keys = zip(table["frame"].tolist(), table["plane"].tolist(), strict=True)
    times_s = dict(zip(keys, table["t_microscope_s"].tolist(), strict=True))
    if not times_s:
        raise NothingToReplayError(f"{session.path} holds no frame")
    first_s = min(times_s.values())
    streams = (
        _make_behavior(session),
        _make_stimulus(session, first_s),
        _make_frames(images, times_s),
    )
    last = TimedMessage(first_s, _make_start(session, images), _NO_PAYLOAD)
    yield last
    seq = 0
    merged = merge(*streams, key=lambda timed: timed.due_s)
    for seq, timed in enumerate(merged, start=1):
        message = replace(timed.message, seq=seq)
        last = TimedMessage(timed.due_s, message, timed.payload)
        yield last
    yield _make_end(last, seq + 1)


def _make_start(session: Session, images: Recording) -> messages.SessionStart:
    return messages.SessionStart(
        session=_SESSION_ID,
        seq=0,
        source=f"replay of {session.path.name} with {images.name}",
        rate_hz=images.rate_hz,
        shape=images.shape,
        dtype=images.dtype.name,
        channels=list(images.channels),
        planes=list(images.planes),
    )


def _make_frames(
    images: Recording, times_s: dict[_FrameKey, float]
) -> Iterator[TimedMessage]:
    has_frames = False
    for frame in images.frames():
        t_s = times_s.get((frame.number, frame.plane))
        if t_s is None:
            continue  # acquired before the daemon ran, or lost on the way to it
        has_frames = True
        message = messages.Frame(
            session=_SESSION_ID,
            seq=0,
            frame=frame.number,
            t=t_s,
            t_send=t_s,
            shape=images.shape,
            dtype=images.dtype.name,
            channel=frame.channel,
            plane=frame.plane,
            roi=frame.scan_field,
        )
        yield TimedMessage(t_s, message, frame.pixels)
    if not has_frames:
        raise NothingToReplayError(
            f"no frame in {images.name} has a number that occurs in the session; is it "
            "the file of another session?"
        )


def _make_behavior(session: Session) -> Iterator[TimedMessage]:
    table = session.behavior
    samples = np.stack([table[name] for name in BEHAVIOR], 1).tolist()
    for t_s, values in zip(table["t_microscope_s"].tolist(), samples, strict=True):
        measured = {
            name: value
            for name, value in zip(BEHAVIOR, values, strict=True)
            if np.isfinite(value)
        }
        message = messages.BehaviorSample(session=_SESSION_ID, seq=0, t=t_s, **measured)
        yield TimedMessage(t_s, message, _NO_PAYLOAD)


def _make_stimulus(session: Session, first_s: float) -> Iterator[TimedMessage]:
    table, rate_hz = session.stimulus, session.about.encoder_rate_hz
    for row, encoder_frame in enumerate(table["encoder_frame"].astype(int).tolist()):
        image = table.read_values(row, row + 1)[0]
        message = messages.StimulusFrame(
            session=_SESSION_ID,
            seq=0,
            clip="",
            index=encoder_frame,
            t=first_s + encoder_frame / rate_hz,
            shape=(image.shape[0], image.shape[1]),
        )
        yield TimedMessage(first_s + encoder_frame / rate_hz, message, image)


def _make_end(last: TimedMessage, seq: int) -> TimedMessage:
    session_id = last.message.session
    message = messages.SessionEnd(session=session_id, seq=seq, reason="replay over")
    return TimedMessage(last.due_s, message, _NO_PAYLOAD)
