"""The live recording: takes data from the daemon without ever blocking it."""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rtrecon.core.types import Array
from rtrecon.core.version import __version__
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session import tables
from rtrecon.session.about import About, Clip, shorten_session_id
from rtrecon.session.dish_tables import (
    DishBodyRow,
    DishContactRow,
    DishEventRow,
    DishRow,
    DishTraceRow,
)
from rtrecon.session.message_log import MessageLog
from rtrecon.session.provenance import (
    describe_machine,
    hash_checkpoint,
    list_library_versions,
)
from rtrecon.session.tables import (
    ActivityRow,
    BehaviorRow,
    FrameRow,
    MovieRow,
    OnsetRow,
    SpreadRow,
    StimulusRow,
    SyncRow,
)
from rtrecon.session.writer import CORRECTED_RATE, SessionWriter

# Rows and messages of a session of 30 Hz: about fifteen seconds of a blocked disk.
MAX_QUEUED_ITEMS = 2048
_USUAL_ROWS_HZ = 140.0  # of such a session; a faster one may queue more
MAX_QUEUED_BYTES = 512 * 2**20
POLL_INTERVAL_S = 0.1


class Recorder:
    """Writes one session into a new folder `YYYYmmdd-HHMMSS_<session>`.

    Every method only copies and queues; one thread writes. When the queue is full, the
    newest item is dropped and counted (`n_lost`). If the disk fails, `failure` says why
    in a sentence, what was written stays, and every later item counts as lost. With
    `raw_messages`, every message received is recorded too, so that the session can be
    replayed exactly.
    """

    def __init__(
        self, folder: Path, about: About, *, raw_messages: bool = False
    ) -> None:
        self.n_lost = 0
        self.failure: str | None = None
        self.path = folder
        now = datetime.now().astimezone()
        self._about = msgspec.structs.replace(about, started=now.isoformat())
        self._specs = tables.make_table_specs(about)
        self._queue_scale = find_queue_scale(self._specs)
        self._clip = ""
        self._queue: deque[tuple[str, Any, Any]] = deque()
        self._stop = threading.Event()
        try:
            self.path = _make_folder(folder, f"{now:%Y%m%d-%H%M%S}", about.session)
        except OSError as error:
            self._fail(error)
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._log: MessageLog | None = None
        if not self.failure:
            self._thread.start()
            if raw_messages:
                self._log = MessageLog(self.path / tables.RAW_MESSAGES_FILE, self._fail)

    @property
    def is_behind(self) -> bool:
        """Whether a queue is half full, because the disk is slow."""
        if self.failure:
            return False
        is_log_behind = self._log is not None and self._log.is_behind
        return is_log_behind or len(self._queue) > self._max_queued // 2

    @property
    def _max_queued(self) -> int:
        """Number of rows and messages that may be queued."""
        return int(MAX_QUEUED_ITEMS * self._queue_scale)

    @property
    def n_raw_messages_lost(self) -> int:
        """How many of the messages received are missing in the log of raw messages."""
        return self._log.n_lost if self._log else 0

    def set_frame_rate(self, rate_hz: float) -> None:
        """Correct the frame rate of the session: the announced one was wrong."""
        if rate_hz != self._about.rate_hz:
            self._about = msgspec.structs.replace(self._about, rate_hz=rate_hz)
            self._put(CORRECTED_RATE, rate_hz)

    def add_raw_message(self, parts: list[Any], t_received_s: float) -> None:
        """Record a message's two parts as received, if raw messages are recorded."""
        if self._log:
            self._log.append(parts, t_received_s)

    def add_frame(self, row: FrameRow, traces: tuple[Array, Array, Array]) -> None:
        """Record one microscope frame; traces: see `TRACE_NAMES`, each (n_roi,).

        With several planes, n_roi is the number of ROIs in the frame's plane.
        """
        self._queue_row("frames", row, self._pad_traces(traces))

    def add_activity(self, row: ActivityRow, values: Array) -> None:
        """Record one encoder frame's activity; values: (n_neuron,)."""
        self._queue_row("activity", row, values)

    def add_dish_picture(self, row: DishRow, view: Array) -> None:
        """Record the counts of a picture of a dish; view: uint8, see `DishAbout`."""
        self._queue_row("dish", row, view)

    def add_dish_trace(self, row: DishTraceRow, owners: Array) -> None:
        """Record whose each pixel of a picture is; owners: uint16 (lines, pixels)."""
        self._queue_row("dish_traces", row, owners)

    def add_dish_rows(
        self, table: str, rows: Sequence[DishBodyRow | DishContactRow | DishEventRow]
    ) -> None:
        """Record bodies, contacts or events of a picture of a dish."""
        if rows:
            self._put(table, [msgspec.structs.astuple(row) for row in rows])

    def add_stimulus(self, encoder_frame: int, image: Array, clip: str = "") -> None:
        """Record the stimulus at one encoder frame; image: uint8 (height, width)."""
        if clip != self._clip:
            self._clip = clip
            self._put("clips", Clip(encoder_frame, clip))
        self._queue_row("stimulus", StimulusRow(encoder_frame), image)

    def add_behavior(self, message: messages.BehaviorSample) -> None:
        """Record a behavior sample as received."""
        values = [message.t, *(getattr(message, name) for name in BEHAVIOR)]
        row = BehaviorRow(*[math.nan if value is None else value for value in values])
        self._queue_row("behavior", row)

    def add_sync_edge(self, message: messages.SyncEdge) -> None:
        """Record an edge of a digital line as received."""
        t_s = math.nan if message.t is None else message.t
        row = SyncRow(t_s, message.t_send, message.line, message.value)
        self._queue_row("sync", row)

    def add_onset(self, row: OnsetRow) -> None:
        """Record when a picture appeared on the screen."""
        self._queue_row("onsets", row)

    def add_movie(self, message: messages.Movie, window: Array) -> None:
        """Record one hop's window, uint8 (at most window_frames, height, width).

        Does nothing if the session's movie is not recorded.
        """
        if not self._about.has_movie:
            return
        max_frames = self._about.window_frames
        if len(window) > max_frames:
            raise ValueError(
                f"movie window has {len(window)} frames, the recording's settings "
                f"say at most {max_frames}"
            )
        padded = np.zeros((max_frames, *window.shape[1:]), np.uint8)
        padded[max_frames - len(window) :] = window
        of_final_images = (message.information_fraction or [])[: message.n_final]
        row = MovieRow(
            encoder_frame=message.encoder_frame,
            n_frames=len(window),
            n_final=message.n_final,
            lag_s=message.lag_s,
            n_steps=message.n_steps,
            t_newest_frame_s=message.t_frame,
            t_published_s=message.t,
            information_fraction=_average(of_final_images),
        )
        self._queue_row("movie", row, padded)

    def add_spread(self, message: messages.Spread, sd: Array) -> None:
        """Record how sure the movie is; sd: uint8, see `messages.Spread`.

        Does nothing if the session's movie is not recorded.
        """
        if self._about.has_movie:
            row = SpreadRow(message.encoder_frame, message.sd, message.data_share)
            self._queue_row("spread", row, sd)

    def add_quality(self, message: messages.Quality) -> None:
        """Record a published quality header."""
        self._put("quality", message)

    def add_health(self, message: messages.Health) -> None:
        """Record a published health header."""
        self._put("health", message)

    def add_calibration(self, message: messages.Calibration) -> None:
        """Record published progress of a calibration."""
        self._put("calibration", message)

    def add_event(self, message: messages.Event) -> None:
        """Record a published event."""
        self._put("events", message)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued; taking longer than `timeout_s` is a `failure`."""
        self._stop.set()
        if not self._thread.ident:
            return
        self._thread.join(timeout_s)
        is_log_complete = self._log is None or self._log.close(timeout_s)
        if self._thread.is_alive() or not is_log_complete:
            self.failure = (
                f"recording in {self.path} could not be finished within {timeout_s} s; "
                "is the disk very slow? Its last seconds may be missing"
            )

    def _queue_row(self, table: str, row: msgspec.Struct, values: Any = None) -> None:
        spec = self._specs[table].values
        if spec is not None:
            # A copy, because the daemon reuses its arrays.
            values = np.array(values, spec.dtype)
            if values.shape != spec.shape:
                raise ValueError(
                    f"{table}: one row's values have shape {values.shape}, "
                    f"this recording was opened for {spec.shape}"
                )
        self._put(table, msgspec.structs.astuple(row), values)

    def _pad_traces(self, traces: tuple[Array, Array, Array]) -> Any:
        """Return traces filled up with NaN if another plane has more ROIs."""
        spec = self._specs["frames"].values
        if spec is None or not self._about.roi_planes:
            return traces
        padded = np.full(spec.shape, np.nan, np.float32)
        padded[:, : len(traces[0])] = traces
        return padded

    def _put(self, kind: str, item: Any, values: Any = None) -> None:
        if self.failure or self._stop.is_set() or len(self._queue) >= self._max_queued:
            self.n_lost += 1
        else:
            self._queue.append((kind, item, values))

    def _run(self) -> None:
        try:
            writer = SessionWriter(self.path, _add_provenance(self._about))
            while not self._stop.wait(POLL_INTERVAL_S):
                self._drain(writer)
                writer.flush(older_than_s=self._about.chunk_s)
            self._drain(writer)
            writer.flush()
        except Exception as error:  # a failed recording must not stop the daemon
            self._fail(error)

    def _drain(self, writer: SessionWriter) -> None:
        while self._queue:
            writer.write(*self._queue.popleft())

    def _fail(self, error: Exception) -> None:
        if self.failure:
            return
        self.failure = (
            f"recording in {self.path} stopped: {error}; what was written before is "
            "kept. Free disk space or choose another folder, then switch recording on "
            "again"
        )
        self.n_lost += len(self._queue)
        self._queue.clear()


def find_queue_scale(specs: dict[str, tables.TableSpec]) -> float:
    """Return how many times `MAX_QUEUED_ITEMS` may be queued, at least 1.

    In proportion to the rows per second, unless their values need too much memory.
    """
    rows_hz = sum(spec.rate_hz for spec in specs.values())
    bytes_hz = sum(
        spec.rate_hz
        * math.prod(spec.values.shape)
        * np.dtype(spec.values.dtype).itemsize
        for spec in specs.values()
        if spec.values
    )
    max_seconds = MAX_QUEUED_BYTES / max(bytes_hz, 1.0)
    max_scale = max_seconds * rows_hz / MAX_QUEUED_ITEMS
    return max(1.0, min(rows_hz / _USUAL_ROWS_HZ, max_scale))


def _average(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _add_provenance(about: About) -> About:
    """Return it with versions, computer and the encoder's hash, which take a while."""
    encoder = about.settings.get("encoder", {})
    return msgspec.structs.replace(
        about,
        version=__version__,
        libraries=list_library_versions(),
        machine=describe_machine(),
        checkpoint_sha256=hash_checkpoint(encoder.get("checkpoint")),
    )


def _make_folder(parent: Path, moment: str, session: str) -> Path:
    name = f"{moment}_{shorten_session_id(session)}"
    parent.mkdir(parents=True, exist_ok=True)
    path, suffixes = parent / name, itertools.count(2)
    while True:
        try:
            path.mkdir()
            return path
        except FileExistsError:
            path = parent / f"{name}_{next(suffixes)}"
