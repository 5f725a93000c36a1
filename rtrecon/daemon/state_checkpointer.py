"""Has everything written that a restart needs, aside, and the field's picture drawn."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Executor, Future
from pathlib import Path

from rtrecon.config import Settings
from rtrecon.core.process import give_way
from rtrecon.daemon.plane import Plane
from rtrecon.imaging.reference import Reference
from rtrecon.session.resume_state import (
    neurons_file,
    reference_file,
    save_neurons,
    save_reference,
    save_state,
    state_file,
)

_EVERY_S = 5.0  # the most that a restart has to do without


class Keeper:
    """Writes into a session's folder what its planes remember.

    One writing at a time, never waited for. Remembers which references are written,
    and when state was; what went wrong is in `notices`, once.
    """

    def __init__(self, settings: Settings, aside: Executor) -> None:
        self.notices: list[str] = []
        self._settings = settings
        self._aside = aside
        self._writing: Future[None] | None = None
        self._failed = False
        self._kept: dict[tuple[Path, int], Reference] = {}
        self._due_s = 0.0

    def keep(self, folder: Path, planes: list[Plane], now_s: float) -> None:
        """Have written what is new, or due; call it often."""
        if self._failed or self._is_busy():
            return
        for number, plane in enumerate(planes):
            reference = plane.reference
            if reference and self._kept.get((folder, number)) is not reference:
                self._kept[folder, number] = reference
                self._keep_reference(folder, number, plane)
                return
        if now_s >= self._due_s:
            self._due_s = now_s + _EVERY_S
            self._keep_state(folder, planes)

    def _is_busy(self) -> bool:
        if self._writing is None or not self._writing.done():
            return self._writing is not None
        error = self._writing.exception()
        self._writing = None
        if error is not None:
            self._failed = True
            self.notices.append(
                f"what a restart would need cannot be written: {error}; a restart "
                "would begin anew"
            )
        return self._failed

    def _keep_reference(self, folder: Path, number: int, plane: Plane) -> None:
        reference, known = plane.reference, plane.known
        assert reference is not None

        def write() -> None:
            save_reference(reference_file(folder, number), reference, known)
            if reference.report is not None:
                _draw(folder)

        self._writing = self._aside.submit(write)

    def _keep_state(self, folder: Path, planes: list[Plane]) -> None:
        kept = [
            (plane.state(), plane.worth(), plane.known.rois.ids) for plane in planes
        ]

        def write() -> None:
            for number, (state, worth, ids) in enumerate(kept):
                if state is not None and worth is not None:
                    save_state(state_file(folder, number), state, self._settings)
                    save_neurons(neurons_file(folder, number), ids, worth)

        self._writing = self._aside.submit(write)


def _draw(folder: Path) -> None:
    """Draw the field's picture in a process of its own: it takes seconds."""
    command = [sys.executable, "-m", "rtrecon", "field", str(folder)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        give_way(process.pid)
