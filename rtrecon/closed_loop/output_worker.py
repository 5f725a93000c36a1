"""Runs one output in its own thread, so that it cannot block the closed loop."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque

from rtrecon.closed_loop.outputs import Output
from rtrecon.core.errors import UserError
from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.protocol import messages

MAX_QUEUED = 8  # events; an output that is further behind is useless
_MAX_ERRORS = 100
_CLOSE_TIMEOUT_S = 2.0  # time for a pulse or a call to end


class OutputWorker:
    """Triggers an output in a thread.

    If the queue is full, it drops the newest event and counts it in `n_lost`.
    `latency` is the time from the frame until the output was triggered.
    """

    def __init__(self, name: str, output: Output) -> None:
        self.name = name
        self.n_lost = 0
        self.latency = LatencyHistogram()
        self._output = output
        self._queue: queue.Queue[messages.Event | None] = queue.Queue(MAX_QUEUED)
        self._errors: deque[str] = deque(maxlen=_MAX_ERRORS)
        # A daemon thread: the process can end even if a driver never returns.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def trigger(self, event: messages.Event) -> None:
        """Queue the event for the output; returns at once."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.n_lost += 1
            self._add_error(f"it is still busy; {self.n_lost} events were dropped")

    def take_errors(self) -> list[str]:
        """Return the errors since the last call, as sentences."""
        return [self._errors.popleft() for _ in range(len(self._errors))]

    def close(self) -> None:
        """Let the output finish, for a limited time."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # the output hangs
        self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        self._open_and_trigger(None)  # open early, so that the first event is fast
        while (event := self._queue.get()) is not None:
            self._open_and_trigger(event)
        self._output.close()

    def _open_and_trigger(self, event: messages.Event | None) -> None:
        try:
            self._output.open()
            if event is not None:
                self._output.trigger(event)
                self._measure_latency(event)
        except UserError as error:
            self._add_error(str(error))
        except Exception as error:  # a driver may raise anything
            self._add_error(f"{type(error).__name__}: {error}")
            self._output.close()

    def _measure_latency(self, event: messages.Event) -> None:
        if event.t_frame is not None:
            self.latency.add_latency((time.time() - event.t_frame) * 1e3)

    def _add_error(self, sentence: str) -> None:
        self._errors.append(f"output '{self.name}': {sentence}")
