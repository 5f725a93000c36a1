"""Saves in the background what a restarted daemon needs to resume a session."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from pathlib import Path

from rtrecon.config import Settings
from rtrecon.core.frame_intervals import is_time_lapse
from rtrecon.core.process import lower_priority
from rtrecon.daemon.plane import RestartablePlane
from rtrecon.imaging.reference import PlaneReference
from rtrecon.session.resume_state import (
    get_reference_path,
    get_state_path,
    get_trace_quality_path,
    save_reference,
    save_state,
    save_trace_quality,
)

_SAVE_INTERVAL_S = 5.0  # a restart loses at most the state of this time


class StateCheckpointer:
    """Saves the references and the state of a session's planes into its folder.

    One save runs at a time, in the background. After a failure it stops until there is
    another recording, and reports the failure once in `notices`. rate_hz: of frames.
    """

    def __init__(
        self, settings: Settings, background: Executor, rate_hz: float
    ) -> None:
        self._settings = settings
        # A frame of a time-lapse took minutes: none may be lost.
        self._interval_s = 0.0 if is_time_lapse(rate_hz) else _SAVE_INTERVAL_S
        self._background = background
        self._notices: list[str] = []
        self._saving: Future[None] | None = None
        self._folder: Path | None = None  # of the newest save
        self._has_failed = False
        self._saved: dict[tuple[Path, int], PlaneReference] = {}
        self._due_s = 0.0
        # Folder, and time of the newest frame of each plane, of the newest save.
        self._saved_state: tuple[Path, list[float]] | None = None

    def take_notices(self) -> list[str]:
        """Return the sentences for the user since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def save_if_due(
        self, folder: Path, planes: Sequence[RestartablePlane], now_s: float
    ) -> None:
        """Start to save a new reference, or the state when it is due; call it often."""
        if self._is_saving():
            return
        if folder != self._folder:
            self._folder, self._has_failed = folder, False
        if self._has_failed:
            return
        for number, plane in enumerate(planes):
            reference = plane.reference
            if reference and self._saved.get((folder, number)) is not reference:
                self._saved[folder, number] = reference
                self._save_reference(folder, number, plane)
                return
        # Without a new frame there is nothing new; a time-lapse has one in minutes.
        times_s = [plane.newest_frame_s for plane in planes]
        if now_s >= self._due_s and (folder, times_s) != self._saved_state:
            self._due_s = now_s + self._interval_s
            self._saved_state = folder, times_s
            self._save_state(folder, planes)

    def _is_saving(self) -> bool:
        if self._saving is None:
            return False
        if not self._saving.done():
            return True
        error = self._saving.exception()
        self._saving = None
        if error is not None:
            self._has_failed = True
            self._notices.append(
                f"the state for a restart cannot be saved: {error}; a restarted daemon "
                "would begin the session anew"
            )
        return False

    def _save_reference(
        self, folder: Path, number: int, plane: RestartablePlane
    ) -> None:
        reference, stored_field = plane.reference, plane.stored_field
        assert reference is not None

        def save() -> None:
            path = get_reference_path(folder, number)
            save_reference(path, reference, stored_field)
            if reference.field_report is not None:
                _draw_field_report(folder)

        self._saving = self._background.submit(save)

    def _save_state(self, folder: Path, planes: Sequence[RestartablePlane]) -> None:
        states = [(plane.get_state(), plane.rate_traces()) for plane in planes]

        def save() -> None:
            for number, (state, rated) in enumerate(states):
                if state is not None:
                    save_state(get_state_path(folder, number), state, self._settings)
                if rated is not None:
                    path = get_trace_quality_path(folder, number)
                    save_trace_quality(path, *rated)

        self._saving = self._background.submit(save)


def _draw_field_report(folder: Path) -> None:
    """Draw the picture of the field match in a process of its own: it takes seconds."""
    command = [sys.executable, "-m", "rtrecon", "field", str(folder)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        lower_priority(process.pid)
