"""What a recorded session is replayed from: all that came in, or what is left of it.

With `record.frames` on, every message is in `incoming.rtr`, and nothing is missing.
Otherwise images come from a file that the microscope's own program saved, stimulus and
behaviour from the session's tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from typing import Any

import numpy as np
from msgspec.structs import replace

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.session.message_log import read_incoming
from rtrecon.session.session import Session
from rtrecon.session.tables import INCOMING
from rtrecon.sources.recording import Recording

_NOTHING = np.empty(0, np.uint8)
_NAME = "session"  # replaced when it is sent
_Place = tuple[float, float]  # number and plane of a frame


class NothingToReplay(UserError):
    """A session without images; its text says what to do."""


@dataclass(frozen=True)
class Cue:
    """A message and when it is due, in s since any moment."""

    due_s: float
    message: messages.Incoming
    payload: Array


def from_log(session: Session) -> Iterator[Cue]:
    """Yield all that came in, when it came; then an end, should none have come."""
    path = session.path / INCOMING
    if not path.is_file():
        raise NothingToReplay(
            f"{session.path} holds no images, for record.frames was off; give the file "
            "that the microscope's program saved with --frames"
        )
    cue = None
    for came in read_incoming(path):
        try:
            said = messages.decode([came.header, came.payload])
        except messages.WireError as error:
            raise NothingToReplay(f"{path} is damaged: {error}") from None
        cue = Cue(came.t_received, *said)
        yield cue
    if cue is None:
        raise NothingToReplay(f"{path} holds no whole message")
    if not isinstance(cue.message, messages.End):
        yield _end(cue, cue.message.seq + 1)


def from_tables(session: Session, images: Recording) -> Iterator[Cue]:
    """Yield the images that the session has seen, its stimulus and its behaviour."""
    table = session.frames
    places = zip(table["frame"].tolist(), table["plane"].tolist(), strict=True)
    times = dict(zip(places, table["t"].tolist(), strict=True))
    if not times:
        raise NothingToReplay(f"{session.path} has seen no frame")
    first_s = min(times.values())
    streams = (
        _behavior(session),
        _stimulus(session, first_s),
        _images(images, times),
    )
    last = Cue(first_s, _start(session, images), _NOTHING)
    yield last
    seq = 0
    for seq, cue in enumerate(merge(*streams, key=lambda cue: cue.due_s), start=1):
        last = Cue(cue.due_s, replace(cue.message, seq=seq), cue.payload)
        yield last
    yield _end(last, seq + 1)


def _start(session: Session, images: Recording) -> messages.Start:
    return messages.Start(
        session=_NAME,
        seq=0,
        source=f"replay of {session.path.name} with {images.name}",
        rate_hz=images.rate_hz,
        shape=images.shape,
        dtype=images.dtype.name,
        channels=list(images.channels),
        planes=list(images.planes),
    )


def _images(images: Recording, times: dict[_Place, float]) -> Iterator[Cue]:
    found = False
    for frame in images.frames():
        t = times.get((frame.number, frame.plane))
        if t is None:
            continue  # before the daemon was there, or lost on the way to it
        found = True
        message = messages.Frame(
            session=_NAME,
            seq=0,
            frame=frame.number,
            t=t,
            t_send=t,
            shape=images.shape,
            dtype=images.dtype.name,
            channel=frame.channel,
            plane=frame.plane,
            roi=frame.roi,
        )
        yield Cue(t, message, frame.pixels)
    if not found:
        raise NothingToReplay(
            f"no frame in {images.name} has a number that the session has seen; is it "
            "the file of another session?"
        )


def _behavior(session: Session) -> Iterator[Cue]:
    table = session.behavior
    known = {name: table[name] for name in table.columns if name != "t"}
    for row, t in enumerate(table["t"].tolist()):
        values = {name: float(column[row]) for name, column in known.items()}
        measured: dict[str, Any] = {k: v for k, v in values.items() if np.isfinite(v)}
        yield Cue(t, messages.Behavior(session=_NAME, seq=0, t=t, **measured), _NOTHING)


def _stimulus(session: Session, first_s: float) -> Iterator[Cue]:
    table, rate_hz = session.stimulus, session.about.encoder_rate_hz
    for row, index in enumerate(table["index"].astype(int).tolist()):
        image = table.values(row, row + 1)[0]
        t, shape = first_s + index / rate_hz, (image.shape[0], image.shape[1])
        message = messages.Stimulus(
            session=_NAME, seq=0, clip="", index=index, t=t, shape=shape
        )
        yield Cue(t, message, image)


def _end(last: Cue, seq: int) -> Cue:
    session = last.message.session
    message = messages.End(session=session, seq=seq, reason="replay over")
    return Cue(last.due_s, message, _NOTHING)
