"""One output in a thread of its own: whatever it does, the loop goes on."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque

from rtrecon.closed_loop.outputs import Output
from rtrecon.core.errors import UserError
from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.protocol import messages

_MAX_WAITING = 8  # firings; an output that falls behind further has lost its meaning
_MAX_COMPLAINTS = 100
_CLOSE_S = 2.0  # for a pulse or a call to end


class Worker:
    """Sets an output off; policy of its queue: *drop newest, counted* (`lost`).

    `latency` is from the frame to the end of what the output did.
    """

    def __init__(self, name: str, output: Output) -> None:
        self.name = name
        self.lost = 0
        self.latency = LatencyHistogram()
        self._output = output
        self._waiting: queue.Queue[messages.Event | None] = queue.Queue(_MAX_WAITING)
        self._complaints: deque[str] = deque(maxlen=_MAX_COMPLAINTS)
        # Should a driver never return, the process can end all the same.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def fire(self, event: messages.Event) -> None:
        """Have it done; returns at once."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.lost += 1
            self._complain(f"it is still busy; {self.lost} firings were dropped")

    def complaints(self) -> list[str]:
        """Return what went wrong since this was last asked."""
        return [self._complaints.popleft() for _ in range(len(self._complaints))]

    def close(self) -> None:
        """Let it end what it does, for a while."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            return  # it hangs
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        self._guarded(None)  # opened early: the first firing shall not wait for it
        while (event := self._waiting.get()) is not None:
            self._guarded(event)
        self._output.close()

    def _guarded(self, event: messages.Event | None) -> None:
        try:
            self._output.open()
            if event is not None:
                self._output.fire(event)
                self._measure(event)
        except UserError as error:
            self._complain(str(error))
        except Exception as error:  # a driver may raise anything
            self._complain(f"{type(error).__name__}: {error}")
            self._output.close()

    def _measure(self, event: messages.Event) -> None:
        if event.t_frame is not None:
            self.latency.add((time.time() - event.t_frame) * 1e3)

    def _complain(self, sentence: str) -> None:
        self._complaints.append(f"output '{self.name}': {sentence}")
