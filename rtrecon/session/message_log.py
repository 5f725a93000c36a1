"""All that came in during a session, byte for byte: what a replay of it is made from.

One file, message after message: `RTRM`, when it was received (s, the daemon's wall
clock, float64), bytes of header (uint32) and of payload (uint64), all little-endian;
then header and payload as they came by the wire.
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

MOST_WAITING_BYTES = 256 * 2**20  # about fifteen seconds of 512 x 512 at 30 Hz
_TICK_S = 0.1
_MARK = b"RTRM"
_PREFIX = struct.Struct("<4sdIQ")


@dataclass(frozen=True)
class Came:
    """A message and when it was received, s on the daemon's wall clock."""

    t_received: float
    header: bytes
    payload: bytes


class IncomingLog:
    """Appends messages to a new file, without ever making the front wait.

    A thread writes. What waits for a slow disk is bounded, *drop newest, counted*
    (`lost`). If the disk fails, `on_failure` is told once, and all that comes after is
    lost; the file stays readable up to there.
    """

    def __init__(self, path: Path, on_failure: Callable[[Exception], None]) -> None:
        self.lost = 0
        self._path = path
        self._on_failure = on_failure
        self._waiting: deque[Came] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)
        self._thread.start()

    def put(self, parts: list[Any], t_received: float) -> None:
        """Take a message's two parts; not copied, so they must not change."""
        header, payload = parts
        size = len(header) + len(payload)
        with self._lock:
            full = self._waiting_bytes + size > MOST_WAITING_BYTES
            if self._failed or self._stop.is_set() or full:
                self.lost += 1
                return
            self._waiting.append(Came(t_received, header, payload))
            self._waiting_bytes += size

    def close(self, timeout_s: float) -> bool:
        """Write what waits, for at most so long; False if there was too much."""
        self._stop.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._path.open("xb") as file:
                ending = False
                while not ending:
                    ending = self._stop.wait(_TICK_S)
                    while came := self._next():
                        _write(file, came)
                    file.flush()
        except OSError as error:
            self._failed = True
            self._on_failure(error)

    def _next(self) -> Came | None:
        with self._lock:
            if not self._waiting:
                return None
            came = self._waiting.popleft()
            self._waiting_bytes -= len(came.header) + len(came.payload)
            return came


def read_incoming(path: Path) -> Iterator[Came]:
    """Yield the messages of a file in the order they came.

    Ends before the first that is not whole: a daemon that was killed leaves one.
    """
    with path.open("rb") as file:
        while len(prefix := file.read(_PREFIX.size)) == _PREFIX.size:
            mark, t_received, n_header, n_payload = _PREFIX.unpack(prefix)
            sane = n_header <= MAX_HEADER_BYTES and n_payload <= MAX_PAYLOAD_BYTES
            if mark != _MARK or not sane:
                return
            header, payload = file.read(n_header), file.read(n_payload)
            if len(payload) < n_payload:
                return
            yield Came(t_received, header, payload)


def _write(file: Any, came: Came) -> None:
    lengths = len(came.header), len(came.payload)
    file.write(_PREFIX.pack(_MARK, came.t_received, *lengths))
    file.write(came.header)
    file.write(came.payload)
