"""Every message that a session received, byte for byte, for an exact replay.

One file, message after message: the mark `RTRM`, when it was received (s, the daemon's
wall clock, float64), the size of header (uint32) and payload (uint64) in bytes, all
little-endian; then header and payload as they were received.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrecon.protocol.messages import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES

MAX_QUEUED_BYTES = 256 * 2**20  # about fifteen seconds of 512 x 512 at 30 Hz
_POLL_INTERVAL_S = 0.1
_MARK = b"RTRM"
_PREFIX = struct.Struct("<4sdIQ")


@dataclass(frozen=True)
class LoggedMessage:
    """A message and when it was received, in s on the daemon's wall clock."""

    t_received_s: float
    header: bytes
    payload: bytes


class MessageLog:
    """Appends messages to a new file without ever blocking the daemon.

    A thread writes. The queue is bounded; when it is full, the newest message is
    dropped and counted (`n_lost`). If the disk fails, `on_failure` is called once, and
    all later messages are lost; the file stays readable up to there.
    """

    def __init__(self, path: Path, on_failure: Callable[[Exception], None]) -> None:
        self.n_lost = 0
        self._path = path
        self._on_failure = on_failure
        self._queue: deque[LoggedMessage] = deque()
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._has_failed = False
        self._thread = threading.Thread(
            target=self._run, name="raw messages", daemon=True
        )
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether the queue is half full, because the disk is slow."""
        return not self._has_failed and self._queued_bytes > MAX_QUEUED_BYTES // 2

    def append(self, parts: list[Any], t_received_s: float) -> None:
        """Queue a message's two parts; they are not copied and must not change."""
        header, payload = parts
        size = len(header) + len(payload)
        with self._lock:
            is_full = self._queued_bytes + size > MAX_QUEUED_BYTES
            if self._has_failed or self._stop.is_set() or is_full:
                self.n_lost += 1
                return
            self._queue.append(LoggedMessage(t_received_s, header, payload))
            self._queued_bytes += size

    def close(self, timeout_s: float) -> bool:
        """Write what is queued; False if that takes longer than `timeout_s`."""
        self._stop.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._path.open("xb") as file:
                is_ending = False
                while not is_ending:
                    is_ending = self._stop.wait(_POLL_INTERVAL_S)
                    while message := self._take_next():
                        _write_message(file, message)
                    file.flush()
        except Exception as error:  # the daemon must go on
            self._has_failed = True
            self._on_failure(error)

    def _take_next(self) -> LoggedMessage | None:
        with self._lock:
            if not self._queue:
                return None
            message = self._queue.popleft()
            self._queued_bytes -= len(message.header) + len(message.payload)
            return message


def read_logged_messages(path: Path) -> Iterator[LoggedMessage]:
    """Yield the messages of a file in the order in which they were received.

    Stops at the first message that is incomplete or damaged: a killed daemon can leave
    one at the end.
    """
    with path.open("rb") as file:
        while len(prefix := file.read(_PREFIX.size)) == _PREFIX.size:
            mark, t_received_s, n_header, n_payload = _PREFIX.unpack(prefix)
            is_plausible = (
                n_header <= MAX_HEADER_BYTES and n_payload <= MAX_PAYLOAD_BYTES
            )
            if mark != _MARK or not is_plausible:
                return
            header, payload = file.read(n_header), file.read(n_payload)
            if len(header) < n_header or len(payload) < n_payload:
                return
            yield LoggedMessage(t_received_s, header, payload)


def measure_log(path: Path) -> tuple[int, float]:
    """Return how many bytes are complete messages, and when the last was received."""
    n_bytes, last_received_s = 0, 0.0
    for message in read_logged_messages(path):
        n_bytes += _PREFIX.size + len(message.header) + len(message.payload)
        last_received_s = message.t_received_s
    return n_bytes, last_received_s


def _write_message(file: Any, message: LoggedMessage) -> None:
    sizes = len(message.header), len(message.payload)
    file.write(_PREFIX.pack(_MARK, message.t_received_s, *sizes))
    file.write(message.header)
    file.write(message.payload)
