"""Progress of an evaluation: the share of all its passes that is done."""

from __future__ import annotations

from rtrecon.core.progress import ProgressCallback

_STAGE = "evaluating"


class EvaluationProgress:
    """Counts the passes of all replays, and reports which share of them is done."""

    def __init__(self, n_passes: int, on_progress: ProgressCallback) -> None:
        self._n_passes, self._n_done = max(1, n_passes), 0
        self._on_progress = on_progress

    def start_clip(self, detail: str) -> None:
        """Report the share done, and what is done next."""
        self._on_progress(_STAGE, min(1.0, self._n_done / self._n_passes), detail)

    def add_passes(self, n_passes: int) -> None:
        """Count passes that were made, now or by an interrupted run."""
        self._n_done += n_passes

    def finish(self) -> None:
        """Report that all is done."""
        self._on_progress(_STAGE, 1.0, "done")
