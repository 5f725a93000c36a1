"""The live recording: takes rows from the front without ever making it wait."""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import rtrecon
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.session import tables
from rtrecon.session.message_log import IncomingLog
from rtrecon.session.provenance import checkpoint_sha256, library_versions, this_machine
from rtrecon.session.tables import (
    About,
    ActivityRow,
    BehaviorRow,
    FrameRow,
    MovieRow,
    StimulusRow,
    SyncRow,
)
from rtrecon.session.writer import Writer

QUEUE_LIMIT = 2048  # rows and lines: about fifteen seconds of a disk that stands still
TICK_S = 0.1


class Recorder:
    """Writes one session into a new folder `YYYYmmdd-HHMMSS_<session>`.

    Every method only copies and queues; one thread writes. The queue's policy is *drop
    newest, counted* (`lost`). If the disk fails, `failure` says how in a sentence,
    what was written stays, and whatever comes after counts as lost. With `frames`, all
    that comes in is kept as well, so that the session can be replayed.
    """

    def __init__(self, folder: Path, about: About, *, frames: bool = False) -> None:
        self.lost = 0
        self.failure: str | None = None
        self.path = folder
        now = datetime.now().astimezone()
        self._about = msgspec.structs.replace(about, started=now.isoformat())
        self._specs = tables.specs(about)
        self._clip = ""
        self._queue: deque[tuple[str, Any, Any]] = deque()
        self._stop = threading.Event()
        try:
            self.path = _new_folder(folder, f"{now:%Y%m%d-%H%M%S}", about.session)
        except OSError as error:
            self._fail(error)
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._log: IncomingLog | None = None
        if not self.failure:
            self._thread.start()
            if frames:
                self._log = IncomingLog(self.path / tables.INCOMING, self._fail)

    @property
    def incoming_lost(self) -> int:
        """How many messages were not kept, of all that came in."""
        return self._log.lost if self._log else 0

    def incoming(self, parts: list[Any], t_received: float) -> None:
        """Take a message's two parts as they came, where all that comes in is kept."""
        if self._log:
            self._log.put(parts, t_received)

    def frame(self, row: FrameRow, traces: tuple[Array, Array, Array]) -> None:
        """Take one microscope frame; traces: cell, neuropil, dF/F, each (n_roi,).

        Of several planes, n_roi is how many ROIs lie in the frame's plane.
        """
        self._row("frames", row, self._filled_up(traces))

    def activity(self, row: ActivityRow, values: Array) -> None:
        """Take one encoder frame's activity; values: (n_neuron,)."""
        self._row("activity", row, values)

    def stimulus(self, index: int, image: Array, clip: str = "") -> None:
        """Take the stimulus at encoder frame `index`; image: uint8 (height, width)."""
        if clip != self._clip:
            self._clip = clip
            self._put("clips", tables.Clip(index, clip))
        self._row("stimulus", StimulusRow(index), image)

    def behavior(self, message: messages.Behavior) -> None:
        """Take a behaviour sample as it came."""
        measured = [getattr(message, name) for name in tables.fields(BehaviorRow)]
        row = BehaviorRow(*[math.nan if value is None else value for value in measured])
        self._row("behavior", row)

    def sync(self, message: messages.Sync) -> None:
        """Take an edge of a digital line as it came."""
        t = math.nan if message.t is None else message.t
        self._row("sync", SyncRow(t, message.t_send, message.line, message.value))

    def movie(self, message: messages.Movie, window: Array) -> None:
        """Take one hop's window, uint8 (at most window_frames, height, width).

        Let go of where the session does not keep its movie.
        """
        if not self._about.keeps_movie:
            return
        expected = self._about.window_frames
        if len(window) > expected:
            raise ValueError(
                f"movie window has {len(window)} frames, the recording's settings "
                f"say at most {expected}"
            )
        padded = np.zeros((expected, *window.shape[1:]), np.uint8)
        padded[expected - len(window) :] = window
        row = MovieRow(
            index=message.index,
            count=len(window),
            final=message.final,
            lag=message.lag,
            steps=message.steps,
            t_frame=message.t_frame,
            t=message.t,
            told=_mean((message.information_fraction or [])[: message.final]),
        )
        self._row("movie", row, padded)

    def quality(self, message: messages.Quality) -> None:
        """Keep a published quality header."""
        self._put("quality", message)

    def health(self, message: messages.Health) -> None:
        """Keep a published health header."""
        self._put("health", message)

    def event(self, message: messages.Event) -> None:
        """Keep a published event."""
        self._put("events", message)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued, for at most `timeout_s`; not in time is a `failure`."""
        self._stop.set()
        if not self._thread.ident:
            return
        self._thread.join(timeout_s)
        kept = self._log is None or self._log.close(timeout_s)
        if self._thread.is_alive() or not kept:
            self.failure = (
                f"recording in {self.path} could not be finished within {timeout_s} s; "
                "is the disk very slow? Its last seconds may be missing"
            )

    def _row(self, table: str, row: msgspec.Struct, values: Any = None) -> None:
        spec = self._specs[table]
        if spec.shape is not None:
            values = np.array(values, spec.dtype)  # a copy: the front reuses its arrays
            if values.shape != spec.shape:
                raise ValueError(
                    f"{table}: one row's values have shape {values.shape}, "
                    f"this recording was opened for {spec.shape}"
                )
        self._put(table, msgspec.structs.astuple(row), values)

    def _filled_up(self, traces: tuple[Array, Array, Array]) -> Any:
        """Return traces with NaN for what another plane has more."""
        shape = self._specs["frames"].shape
        if shape is None or not self._about.roi_planes:
            return traces
        filled = np.full(shape, np.nan, np.float32)
        filled[:, : len(traces[0])] = traces
        return filled

    def _put(self, kind: str, item: Any, values: Any = None) -> None:
        if self.failure or self._stop.is_set() or len(self._queue) >= QUEUE_LIMIT:
            self.lost += 1
        else:
            self._queue.append((kind, item, values))

    def _run(self) -> None:
        try:
            writer = Writer(self.path, _with_origins(self._about))
            while not self._stop.wait(TICK_S):
                self._drain(writer)
                writer.flush(older_than_s=self._about.chunk_s)
            self._drain(writer)
            writer.flush()
        except Exception as error:  # recording must never take the loop with it
            self._fail(error)

    def _drain(self, writer: Writer) -> None:
        while self._queue:
            writer.write(*self._queue.popleft())

    def _fail(self, error: Exception) -> None:
        if self.failure:
            return
        self.failure = (
            f"recording in {self.path} stopped: {error}; what was written before is "
            "kept. Make room or choose another folder, then switch recording on again"
        )
        self.lost += len(self._queue)
        self._queue.clear()


def _mean(shares: list[float]) -> float:
    return sum(shares) / len(shares) if shares else math.nan


def _with_origins(about: About) -> About:
    """Return it with versions, machine and the encoder's hash, which take a while."""
    encoder = about.settings.get("encoder", {})
    return msgspec.structs.replace(
        about,
        version=rtrecon.__version__,
        libraries=library_versions(),
        machine=this_machine(),
        checkpoint_sha256=checkpoint_sha256(encoder.get("checkpoint")),
    )


def _new_folder(parent: Path, moment: str, session: str) -> Path:
    name = f"{moment}_{tables.short_id(session)}"
    parent.mkdir(parents=True, exist_ok=True)
    path, again = parent / name, itertools.count(2)
    while True:
        try:
            path.mkdir()
            return path
        except FileExistsError:
            path = parent / f"{name}_{next(again)}"
