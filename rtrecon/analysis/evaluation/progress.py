"""Progress of an evaluation: what is done, and about how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from rtrecon.analysis.evaluation.plan import format_duration
from rtrecon.core.progress import ProgressCallback

_STAGE = "evaluating"


class EvaluationProgress:
    """Counts passes of the inversion, and reports the share done and the time left.

    n_passes: of the whole evaluation. pass_s: duration of one as measured before; the
    durations of the passes done so far replace it.
    """

    def __init__(
        self,
        n_passes: int,
        pass_s: float,
        on_progress: ProgressCallback,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._n_passes, self._pass_s = max(1, n_passes), pass_s
        self._on_progress, self._clock = on_progress, clock
        self._n_done = self._n_timed = 0
        self._timed_s = 0.0
        self._started_s = clock()

    def start_clip(self, detail: str) -> None:
        """Report what is done next, and the time left."""
        self._started_s = self._clock()
        remaining_s = self._pass_s * max(0, self._n_passes - self._n_done)
        left = f"about {format_duration(remaining_s)} left"
        self._on_progress(_STAGE, self._fraction_done, f"{detail}; {left}")

    def finish_clip(self, n_passes: int) -> None:
        """Count passes that were made since `start_clip`."""
        self._n_done += n_passes
        self._n_timed += n_passes
        self._timed_s += self._clock() - self._started_s
        self._pass_s = self._timed_s / self._n_timed

    def skip_clip(self, n_passes: int) -> None:
        """Count passes that an earlier run made."""
        self._n_done += n_passes

    def finish(self) -> None:
        """Report that all is done."""
        self._on_progress(_STAGE, 1.0, "done")

    @property
    def _fraction_done(self) -> float:
        return min(1.0, self._n_done / self._n_passes)
