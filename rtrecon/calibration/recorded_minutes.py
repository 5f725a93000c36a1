"""Reads activity, stimulus and behavior of a session from its record while it grows.

The record is the only source: a calibrator that is killed, or a daemon that is started
again, loses nothing that is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.calibration.clips import ClipDivider
from rtrecon.core.types import Array
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session.about import About
from rtrecon.session.session import NotASessionError, Session, list_sessions
from rtrecon.session.table import Table
from rtrecon.session.table_rows import RowIndex, read_rows
from rtrecon.training.training_data import SETTLE_FRAMES, Segment

MAX_MINUTES = 20.0
_MAX_ACTIVITY_BYTES = 256 * 2**20
_BLOCK_ROWS = 3000  # that are read at once
_MAX_SAME_LEVELS = 16.0  # mean difference of two pictures that may be one movie's


@dataclass(frozen=True)
class RecordedRows:
    """T rows of encoder frames whose activity and stimulus are both known.

    encoder_frames (T,) increase. movie: uint8 (T, height, width). behavior (T, 4), NaN
    where it is not measured. activity (T, n), NaN where it was lost.
    """

    encoder_frames: Array
    movie: Array
    behavior: Array
    activity: Array

    def slice_segment(self, start: int, stop: int) -> Segment:
        """Return rows start to stop, which have no gap, as a segment."""
        rows = slice(start, stop)
        return Segment(self.movie[rows], self.behavior[rows], self.activity[rows])


class RecordedMinutes:
    """The paired rows of all recordings of one session, and their clips.

    A session has several recordings where the daemon was started again. At most
    `MAX_MINUTES` are held. n_conflicts: encoder frames for which two different pictures
    were recorded, as where two programs send a stimulus.
    """

    def __init__(self, about: About, paths: list[Path]) -> None:
        self.clips = ClipDivider()
        self.n_conflicts = 0
        self.rate_hz = about.encoder_rate_hz
        self.space = about.stimulus_space
        self._recordings = [_Recording(path) for path in paths]
        n_neurons = len(about.neuron_ids)
        row_bytes = max(1, n_neurons) * np.dtype(np.float32).itemsize
        # The system assigns the memory of an empty array when it is filled.
        self._capacity = min(
            round(MAX_MINUTES * 60 * self.rate_hz), _MAX_ACTIVITY_BYTES // row_bytes
        )
        self._rows = RecordedRows(
            np.empty(self._capacity, np.int64),
            np.empty((self._capacity, *self.space.shape), np.uint8),
            np.empty((self._capacity, len(BEHAVIOR)), np.float32),
            np.empty((self._capacity, n_neurons), np.float32),
        )
        self._n_rows = 0

    @property
    def is_full(self) -> bool:
        """Whether no further minute is held."""
        return self._n_rows == self._capacity

    @property
    def minutes(self) -> float:
        """Minutes of activity with a known stimulus."""
        return self._n_rows / self.rate_hz / 60

    @property
    def rows(self) -> RecordedRows:
        """All rows read so far; views that later rows do not change."""
        held = slice(0, self._n_rows)
        rows = self._rows
        return RecordedRows(
            rows.encoder_frames[held],
            rows.movie[held],
            rows.behavior[held],
            rows.activity[held],
        )

    def read_new(self) -> bool:
        """Read what was recorded since the last call; return whether there was any."""
        before = self._n_rows
        for recording in self._recordings:
            while not self.is_full:
                block, n_conflicts = recording.read_block()
                self.n_conflicts += n_conflicts
                if not len(block.encoder_frames):
                    break
                self._append(block)
                if len(block.encoder_frames) < _BLOCK_ROWS:
                    break
        return self._n_rows > before

    def _append(self, block: RecordedRows) -> None:
        newest = self._rows.encoder_frames[self._n_rows - 1] if self._n_rows else -1
        is_new = np.flatnonzero(block.encoder_frames > newest)
        taken = is_new[: self._capacity - self._n_rows]
        rows = slice(self._n_rows, self._n_rows + len(taken))
        self._rows.encoder_frames[rows] = block.encoder_frames[taken]
        self._rows.movie[rows] = block.movie[taken]
        self._rows.behavior[rows] = block.behavior[taken]
        self._rows.activity[rows] = block.activity[taken]
        self._n_rows = rows.stop
        self.clips.add_rows(block.encoder_frames[taken], block.movie[taken])


def find_recordings(newest: Path, session: str) -> list[Path]:
    """Return all recordings of a session with the newest one's neurons, oldest first.

    They lie beside the newest one, which is in the list.
    """
    neuron_ids = Session(newest).about.neuron_ids
    found = []
    for path in list_sessions(newest.parent):
        try:
            about = Session(path).about
        except NotASessionError:
            continue
        if about.session == session and about.neuron_ids == neuron_ids:
            found.append((about.started, path))
    return [path for _, path in sorted(found)]


class _Recording:
    """One recording, read block by block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_frame: int | None = None  # encoder frame

    def read_block(self) -> tuple[RecordedRows, int]:
        """Return the next rows, and for how many frames two pictures disagree."""
        session = Session(self._path)
        activity, stimulus = session.activity, session.stimulus
        of_activity = activity["encoder_frame"].astype(np.int64)
        of_stimulus = stimulus["encoder_frame"].astype(np.int64)
        if self._next_frame is None and len(of_activity):
            self._next_frame = int(of_activity.min()) + SETTLE_FRAMES
        first = self._next_frame or 0
        last = min(of_activity.max(initial=-1), of_stimulus.max(initial=-1))
        both = np.intersect1d(of_activity, of_stimulus)
        frames = both[(both >= first) & (both <= last)][:_BLOCK_ROWS]
        if not len(frames):
            return _make_empty(session.about), 0
        self._next_frame = int(frames[-1]) + 1
        rows = RowIndex(of_activity).find_last(frames)
        movie, n_conflicts = _read_movie(stimulus, of_stimulus, frames)
        paired = RecordedRows(
            frames,
            movie,
            session.read_encoder_behavior()[rows].astype(np.float32),
            read_rows(activity, rows),
        )
        return paired, n_conflicts


def _read_movie(
    stimulus: Table, of_stimulus: Array, frames: Array
) -> tuple[Array, int]:
    """Return the last picture of each frame, and how many others disagree with it."""
    index = RowIndex(of_stimulus)
    first, last = index.find_first(frames), index.find_last(frames)
    movie = read_rows(stimulus, last)
    is_double = first != last
    if not is_double.any():
        return movie, 0
    others = read_rows(stimulus, first[is_double])
    differences = np.abs(others.astype(np.float32) - movie[is_double]).mean((1, 2))
    return movie, int((differences > _MAX_SAME_LEVELS).sum())


def _make_empty(about: About) -> RecordedRows:
    return RecordedRows(
        np.empty(0, np.int64),
        np.empty((0, *about.stimulus_space.shape), np.uint8),
        np.empty((0, len(BEHAVIOR)), np.float32),
        np.empty((0, len(about.neuron_ids)), np.float32),
    )
