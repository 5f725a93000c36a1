"""A plane of neurons in a dish: registers each picture and traces it.

Tracing takes up to a second, so it runs in the background: the daemon goes on
receiving frames, and the results follow in order.
"""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Executor, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.config import Settings
from rtrecon.config.dish import DishSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.daemon.dish_facts import make_view
from rtrecon.daemon.dish_preview import DishPreview
from rtrecon.daemon.plane import DishPicture, OnError, PlaneFrame, ProcessedFrame
from rtrecon.dish.dish_frame import LOOSE, DishFrame
from rtrecon.dish.tracker import DishTracker
from rtrecon.imaging.frame_processor import FrameTraces, TraceQuality
from rtrecon.imaging.reference import PlaneReference, StoredField
from rtrecon.imaging.registration.film_registrar import FilmRegistrar
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.registrar import FrameShift
from rtrecon.imaging.registration.z_drift import DepthEstimate
from rtrecon.rois.roi_set import build_roi_set
from rtrecon.session.resume_state import PlaneState, get_state_path, load_state

_CLICK_REACH_PX = 10.0  # of a click from a neurite
_WAIT_S = 0.005  # of one pass of the daemon's loop, for the picture that is traced
_NO_VALUES = np.empty(0, np.float32)
_REGISTRAR, _TRACKER = "registrar/", "tracker/"


class DishPlane:
    """Traces the pictures of one stage position in their order (implements `Plane`).

    max_queued: pictures that may wait; then the oldest is dropped and counted in
    `n_unusable`.
    """

    is_calibrating = False
    is_building_reference = False
    reference: PlaneReference | None = None

    def __init__(
        self,
        shape: tuple[int, int],
        film: DishSettings,
        settings: Settings,
        background: Executor,
        max_queued: int,
        on_error: OnError,
    ) -> None:
        self.n_unusable = 0
        self._settings = settings
        self._background = background
        self._max_queued = max_queued
        self._on_error = on_error
        registration = settings.registration.model_copy(update={"scan_phase": "off"})
        self._registrar = FilmRegistrar(registration)
        self._tracker = DishTracker(film)
        self._queue: deque[PlaneFrame] = deque()
        self._running: Future[ProcessedFrame] | None = None
        self._notices: list[str] = []
        self._newest_notices: tuple[str, ...] = ()
        self._shape = shape
        no_neurons = build_roi_set(np.zeros(0, np.int64), shape, [])
        self.stored_field = StoredField(no_neurons, None)
        self._preview = DishPreview(film, background)
        self._newest: DishPicture | None = None
        self._state: PlaneState | None = None
        self._t0_s = 0.0

    @property
    def n_queued(self) -> int:
        """Number of pictures that were received but not traced yet."""
        return len(self._queue) + (self._running is not None)

    @property
    def n_queued_images(self) -> int:
        """Number of images of these pictures."""
        return sum(frame.n_images for frame in self._queue) + (
            self._running is not None
        )

    @property
    def is_queue_full(self) -> bool:
        """Whether the next picture would make the plane drop its oldest one."""
        return len(self._queue) >= self._max_queued

    @property
    def newest_frame_s(self) -> float:
        """Time of the newest traced picture, microscope's clock; -inf before one."""
        return self._state.t_newest_frame_s if self._state else -math.inf

    def start_session(self, t0_s: float, from_s: float) -> None:
        """Start at from_s in a session whose first frame was at t0_s (s)."""
        self._t0_s = t0_s

    def set_rate(self, rate_hz: float) -> None:
        """Go on as announced: the tracing uses the time of each picture."""

    def resume(self, folder: Path, number: int) -> float:
        """Continue from the state that an earlier daemon saved in `folder`.

        Returns t0 of the session in s. Raises UserError if the state cannot be used.
        """
        state = load_state(get_state_path(folder, number), self._settings)
        arrays = state.processor_state
        self._registrar.restore_state(_select(arrays, _REGISTRAR))
        self._tracker.restore_state(_select(arrays, _TRACKER))
        return state.t_first_frame_s

    def get_state(self) -> PlaneState | None:
        """Return what a restart needs to continue; None before the first picture."""
        return self._state

    def rate_traces(self) -> tuple[Array, TraceQuality] | None:
        """Return None: there are no traces of activity."""
        return None

    def take_notices(self) -> list[str]:
        """Return the sentences for the user since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def add_frame(self, frame: PlaneFrame) -> list[ProcessedFrame]:
        """Take one picture; return what has been traced by now, oldest first."""
        if self.is_queue_full:  # and the sender cannot wait
            self.n_unusable += self._queue.popleft().n_images
        self._queue.append(frame)
        return self._collect(wait_s=0.0)

    def process_pending(self, *, is_ending: bool = False) -> list[ProcessedFrame]:
        """Return what has been traced by now; wait a moment for the rest."""
        return self._collect(_WAIT_S)

    def renew_reference(self) -> None:
        """Take the next picture as the reference."""
        self._background.submit(self._registrar.renew_reference)

    def reassign_neurite(self, y: float, x: float, number: int) -> str:
        """Give the neurite at a position (px) to a neuron; return a sentence.

        The next picture shows it. Raises `UserError` if there is no neurite within
        reach, or no such neuron.
        """
        traced = self._newest.traced if self._newest else None
        if traced is None or number not in traced.bodies["number"]:
            raise UserError(f"there is no neuron {number} in the newest picture")
        is_neurite = (traced.owners > 0) & ~traced.is_body
        rows, cols = np.nonzero(is_neurite)
        away_px = np.hypot(rows - y, cols - x)
        if not len(rows) or not away_px.min() <= _CLICK_REACH_PX:
            raise UserError("there is no neurite at this position")
        nearest = int(np.argmin(away_px))
        place = float(rows[nearest]), float(cols[nearest])
        self._background.submit(self._reassign_safely, *place, number)
        return (
            f"neuron {number} gets the neurite at y = {place[0]:.0f}, x = "
            f"{place[1]:.0f} from the next picture on"
        )

    def preview(self, body_um: float, sensitivity: float) -> dict[str, Any] | None:
        """Return what other settings find in the newest picture, see `DishPreview`."""
        return self._preview.trace(self._newest, body_um, sensitivity)

    def make_labels(self) -> Array:
        """Return uint32 (lines, pixels): 0 = background, k = neuron number k."""
        if self._newest is None:
            return np.zeros(self._shape, np.uint32)
        labels = self._newest.traced.owners.astype(np.uint32)
        labels[labels == LOOSE] = 0
        return labels

    def make_view(self, step_px: int) -> Array:
        """Return the newest registered picture as uint8, every `step_px`-th pixel."""
        assert self._newest is not None
        return make_view(self._newest.image, step_px)

    def _collect(self, wait_s: float) -> list[ProcessedFrame]:
        """Take the picture that is traced, if it is done, and start the next."""
        results = []
        if self._running is not None:
            wait([self._running], timeout=wait_s)
            if self._running.done():
                results.append(self._take_result(self._running))
                self._running = None
        if self._running is None and self._queue:
            frame = self._queue.popleft()
            self._running = self._background.submit(self._process_safely, frame)
        return results

    def _take_result(self, running: Future[ProcessedFrame]) -> ProcessedFrame:
        processed = running.result()
        if processed.dish is not None:
            self._newest = processed.dish
            self._note_notices(processed.dish.traced)
        return processed

    def _note_notices(self, traced: DishFrame) -> None:
        """Report each sentence when it is new, not for every picture."""
        new = [text for text in traced.notices if text not in self._newest_notices]
        self._newest_notices = traced.notices
        self._notices += new

    # -- in the background -------------------------------------------------------------

    def _reassign_safely(self, y: float, x: float, number: int) -> None:
        """Remember whose a neurite is, in the saved state as well."""
        try:
            self._tracker.reassign_segment(y, x, number)
            if self._state is not None:
                self._state = replace(self._state, processor_state=self._copy_state())
        except Exception as error:  # no click may end a live session
            self._on_error("reassigning a neurite", error)

    def _process_safely(self, frame: PlaneFrame) -> ProcessedFrame:
        """Trace a picture; one that fails is a rejected frame."""
        try:
            return self._process(frame)
        except Exception as error:  # no picture may end a live session
            self._on_error("tracing a picture", error)
            shift = FrameShift(0.0, 0.0, 0.0, False, RejectionReason.FAILED)
            return _make_result(frame, shift, None)

    def _process(self, frame: PlaneFrame) -> ProcessedFrame:
        registered = self._registrar.register(frame.signal_image)
        image, t_s = frame.signal_image, frame.message.t - self._t0_s
        # Of a constant picture, the tracing tells a closed shutter from saturation.
        checked = image if image.min() == image.max() else registered.image
        traced = self._tracker.process_frame(checked, registered.is_valid, t_s)
        self._state = PlaneState(self._copy_state(), self._t0_s, frame.message.t)
        return _make_result(
            frame, registered.shift, DishPicture(traced, registered.image)
        )

    def _copy_state(self) -> dict[str, Array]:
        parts = {
            _REGISTRAR: self._registrar.get_state(),
            _TRACKER: self._tracker.get_state(),
        }
        return {
            f"{prefix}{key}": np.array(values)
            for prefix, part in parts.items()
            for key, values in part.items()
        }


def _make_result(
    frame: PlaneFrame, shift: FrameShift, dish: DishPicture | None
) -> ProcessedFrame:
    traces = FrameTraces(shift, *(_NO_VALUES,) * 4, has_activity=False)
    frame = frame.without_pixels()
    return ProcessedFrame(
        frame, traces, [], frame, is_late=False, depth=DepthEstimate(), dish=dish
    )


def _select(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {
        key.removeprefix(prefix): values
        for key, values in arrays.items()
        if key.startswith(prefix)
    }
