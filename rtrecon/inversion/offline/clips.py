"""Clips to reconstruct: from arrays, or out of a recorded session, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.protocol import VISIBLE
from rtrecon.inversion.offline.target import Target
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session.session import Session
from rtrecon.session.table import Table

CLIP_FRAMES = 300  # ten seconds, as published


@dataclass(frozen=True)
class Clip:
    """A stretch of recording, and the stimulus where it is known.

    shown: float32 (T, 36, 64), NaN where a frame's stimulus is not known; None where
    none is. ids: (n,) of its neurons, None where they are not known.
    """

    name: str
    target: Target
    shown: Array | None = None
    ids: Array | None = None
    rate_hz: float = 30.0

    def load(self) -> Clip:
        """Return itself: it is in memory."""
        return self


class Source(Protocol):
    """Where a clip is to be had; small, so that it can be sent to another machine."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def load(self) -> Clip:
        """Read it."""
        ...


@dataclass(frozen=True)
class RecordedClip:
    """Encoder frames start to stop of a recorded session's folder."""

    path: Path
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Session and first frame."""
        return f"{self.path.name}-{self.start:06d}"

    def load(self) -> Clip:
        """Read it; what was lost is NaN."""
        session = Session(self.path)
        about, table = session.about, session.activity
        activity = self._blank(len(about.neuron_ids))
        behavior = self._blank(len(BEHAVIOR))
        rows, places = self._rows(table)
        activity[places] = table.values(rows.start, rows.stop)
        behavior[places] = session.behaved()[rows]
        return Clip(
            name=self.name,
            target=Target(activity, behavior),
            shown=self._shown(session.stimulus, about.image_shape),
            ids=np.array(about.neuron_ids, np.int64),
            rate_hz=about.encoder_rate_hz,
        )

    def _shown(self, table: Table, shape: tuple[int, int]) -> Array | None:
        rows, places = self._rows(table)
        if not len(places):
            return None
        shown = self._blank(*shape)
        shown[places] = table.values(rows.start, rows.stop)
        return shown

    def _rows(self, table: Table) -> tuple[slice, Array]:
        """Return the rows of the clip's frames, and each one's place in the clip."""
        indices = table["index"].astype(np.int64)
        first, last = np.searchsorted(indices, (self.start, self.stop))
        return slice(int(first), int(last)), indices[first:last] - self.start

    def _blank(self, *shape: int) -> Array:
        return np.full((self.stop - self.start, *shape), np.nan, np.float32)


def clips_of(path: Path, clip_frames: int = CLIP_FRAMES) -> list[RecordedClip]:
    """Cut a recorded session into clips; the last one is as long as what is left.

    Raises UserError if the folder holds nothing to reconstruct.
    """
    first, end = _span(Session(path))
    return [
        RecordedClip(path.resolve(), start, min(start + clip_frames, end))
        for start in range(first, end, clip_frames)
    ]


def stretch(path: Path, start_s: float, seconds: float) -> RecordedClip:
    """Return a stretch of a recorded session, shorter where the session ends.

    Raises UserError if the folder holds nothing to reconstruct, or nothing there.
    """
    session = Session(path)
    (first, end), rate_hz = _span(session), session.about.encoder_rate_hz
    start = start_s * rate_hz
    stop = min(float(end - first), start + seconds * rate_hz)
    if not (start >= 0 and seconds > 0 and start <= stop - 1):  # nan is not in it
        raise UserError(
            f"{path} lasts {(end - first) / rate_hz:.1f} s; {seconds:g} s from "
            f"{start_s:g} s on are not in it"
        )
    return RecordedClip(path.resolve(), first + round(start), first + round(stop))


def _span(session: Session) -> tuple[int, int]:
    """Return the encoder frames of a session's activity, first to stop."""
    indices, about = session.activity["index"], session.about
    if not len(indices) or not about.neuron_ids:
        raise UserError(f"{session.path} holds no activity; nothing to reconstruct")
    if about.image_shape != VISIBLE:
        raise UserError(
            f"{session.path} has movies of {about.image_shape} px, encoders see "
            f"{VISIBLE}; record the session with that shape"
        )
    return int(indices[0]), int(indices[-1]) + 1
