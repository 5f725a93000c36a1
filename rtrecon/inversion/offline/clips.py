"""Clips to reconstruct, from arrays or from a recorded session."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import find_checkpoint
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session.session import Session
from rtrecon.session.table import Table
from rtrecon.session.table_rows import RowIndex, read_rows
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO

CLIP_FRAMES = 300  # 10 s at 30 Hz, as in the published protocol


@dataclass(frozen=True)
class Clip:
    """A segment of a recording, with its stimulus if that is known.

    stimulus: float32 (T, height, width), NaN where a frame's stimulus is not known;
    None if no frame's is. neuron_ids: (n,), None if they are not known. space: of the
    stimulus.
    """

    name: str
    target: InversionTarget
    stimulus: Array | None = None
    neuron_ids: Array | None = None
    rate_hz: float = 30.0
    space: StimulusSpace = VIDEO

    def load(self) -> Clip:
        """Return itself, because it is in memory already."""
        return self


class ClipSource(Protocol):
    """Loads a clip; small, so that it can be sent to another machine."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def load(self) -> Clip:
        """Read the clip."""
        ...


@dataclass(frozen=True)
class RecordedClip:
    """Encoder frames start to stop of a recorded session's folder."""

    path: Path
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Name of the session and number of the first encoder frame."""
        return f"{self.path.name}-{self.start:06d}"

    def load(self) -> Clip:
        """Read the clip; lost activity is NaN."""
        session = Session(self.path)
        about, table = session.about, session.activity
        activity = self._nan_array(len(about.neuron_ids))
        behavior = self._nan_array(len(BEHAVIOR))
        rows, positions = self._locate_rows(table)
        activity[positions] = read_rows(table, rows)
        behavior[positions] = session.read_encoder_behavior()[rows]
        return Clip(
            name=self.name,
            target=InversionTarget(activity, behavior),
            stimulus=self._load_stimulus(session.stimulus, about.stimulus_space.shape),
            neuron_ids=np.array(about.neuron_ids, np.int64),
            rate_hz=about.encoder_rate_hz,
            space=about.stimulus_space,
        )

    def _load_stimulus(self, table: Table, shape: tuple[int, int]) -> Array | None:
        rows, positions = self._locate_rows(table)
        if not len(positions):
            return None
        stimulus = self._nan_array(*shape)
        stimulus[positions] = read_rows(table, rows)
        return stimulus

    def _locate_rows(self, table: Table) -> tuple[Array, Array]:
        """Return the table's rows of the clip, and each row's position in the clip."""
        indices = table["encoder_frame"].astype(np.int64)
        frames = np.intersect1d(indices, np.arange(self.start, self.stop))
        return RowIndex(indices).find_last(frames), frames - self.start

    def _nan_array(self, *shape: int) -> Array:
        return np.full((self.stop - self.start, *shape), np.nan, np.float32)


def cut_session(path: Path, clip_frames: int = CLIP_FRAMES) -> list[RecordedClip]:
    """Cut a recorded session into clips; the last one may be shorter.

    Raises UserError if the session has no activity to reconstruct.
    """
    first, end = _find_activity_span(Session(path))
    return cut_segment(RecordedClip(path.resolve(), first, end), clip_frames)


def cut_segment(
    segment: RecordedClip, clip_frames: int = CLIP_FRAMES
) -> list[RecordedClip]:
    """Cut a segment of a session into clips; the last one may be shorter."""
    return [
        RecordedClip(segment.path, start, min(start + clip_frames, segment.stop))
        for start in range(segment.start, segment.stop, clip_frames)
    ]


def select_segment(path: Path, start_s: float, seconds: float | None) -> RecordedClip:
    """Return a segment of a recorded session; it ends at the latest with the session.

    seconds: None = until the end. Raises UserError if the session has no activity, or
    none in this segment.
    """
    session = Session(path)
    (first, end), rate_hz = _find_activity_span(session), session.about.encoder_rate_hz
    start = start_s * rate_hz
    duration_s = math.inf if seconds is None else seconds
    stop = min(float(end - first), start + duration_s * rate_hz)
    if not (start >= 0 and duration_s > 0 and start <= stop - 1):  # also catches NaN
        duration = "" if seconds is None else f" of {seconds:g} s"
        raise UserError(
            f"{path} lasts {(end - first) / rate_hz:.1f} s and has no segment"
            f"{duration} that starts at {start_s:g} s; choose another start or "
            "duration"
        )
    return RecordedClip(path.resolve(), first + round(start), first + round(stop))


def list_damage_notices(path: Path) -> list[str]:
    """Return a sentence for each table of clips that cannot be read in full.

    Each names the table and the seconds that are lost.
    """
    session = Session(path)
    return [*session.activity.notices, *session.stimulus.notices]


def find_session_encoder(path: Path) -> Path:
    """Return the encoder that a session was recorded with; UserError without one."""
    settings = Session(path).about.settings
    checkpoint = settings.get("encoder", {}).get("checkpoint")
    if not checkpoint:
        raise UserError(
            f"{path} was recorded with no encoder; name one of its neurons with "
            "--encoder"
        )
    if not find_checkpoint(checkpoint).is_file():
        raise UserError(
            f"{path} was recorded with the encoder {checkpoint}, which does not exist "
            "any more; name its file with --encoder"
        )
    return Path(checkpoint)


def _find_activity_span(session: Session) -> tuple[int, int]:
    """Return the first encoder frame with activity, and the one after the last."""
    table, about = session.activity, session.about
    if not len(table) or not about.neuron_ids:
        reasons = "".join(f" ({notice})" for notice in table.notices)
        raise UserError(
            f"{session.path} has no activity{reasons}; choose another session"
        )
    indices = table["encoder_frame"]
    return int(indices[0]), int(indices[-1]) + 1
