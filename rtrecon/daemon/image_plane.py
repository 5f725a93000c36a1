"""A plane of images: builds its reference, then turns each frame into activity."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from itertools import islice
from pathlib import Path

import numpy as np

from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.daemon.plane import (
    OnError,
    PlaneFrame,
    ProcessedFrame,
    make_label_image,
)
from rtrecon.daemon.queue_limits import QueueLimits
from rtrecon.imaging.frame_processor import FrameProcessor, TraceQuality
from rtrecon.imaging.reference import (
    PlaneReference,
    StoredField,
    build_reference,
    build_stored_reference,
)
from rtrecon.imaging.registration.z_drift import DepthTracker
from rtrecon.imaging.timing.aligner import Aligner, EncoderSample
from rtrecon.session.resume_state import (
    PlaneState,
    get_reference_path,
    get_state_path,
    load_reference,
    load_state,
)

# Queued frames processed per call, so that new frames are not held up behind them.
_MAX_FRAMES_PER_CALL = 4


class ImagePlane:
    """One plane's reference, frame processor and time base (implements `Plane`).

    Frames are queued until a reference has been built from the first ones in the
    background; then they are processed late, so that none is left out. `stored_field`
    is the field as stored before this session, `n_unusable` counts images from which no
    reference could be built.
    """

    def __init__(
        self,
        stored_field: StoredField,
        rate_hz: float,
        settings: Settings,
        background: Executor,
        limits: QueueLimits,
        on_error: OnError,
    ) -> None:
        self.stored_field = stored_field
        self.reference: PlaneReference | None = None
        self.n_unusable = 0
        self._rate_hz = rate_hz
        self._settings = settings
        self._background = background
        self._limits = limits
        self._on_error = on_error
        self._n_dropped = 0  # frames that the queue had no space for
        self._building: Future[PlaneReference] | None = None
        self._newest_failure = ""  # why no reference could be made, as reported
        self._n_tried = 0  # frames from which the reference is being built
        self._processor: FrameProcessor | None = None
        self._notices: list[str] = []
        self._queue: deque[tuple[PlaneFrame, bool]] = deque()  # frame, is_late
        self._aligner = Aligner(settings.timing.encoder_rate_hz)
        self._lagging = self._make_lagging()  # back to the frame whose activity is due
        self._contrast = 0.0, 1.0  # value shown as black, and range to white
        self._t0_s = 0.0
        if stored_field.stored_image is not None and not settings.field_match.enabled:
            reference = build_stored_reference(stored_field, settings)
            self.use_reference(reference)
            self._notices += reference.notices

    @property
    def is_calibrating(self) -> bool:
        """Whether frames are collected for a reference."""
        return self._processor is None

    @property
    def is_building_reference(self) -> bool:
        """Whether a reference is being built in the background."""
        return self._building is not None

    @property
    def n_queued(self) -> int:
        """Number of frames that were received but not processed yet."""
        return len(self._queue)

    @property
    def n_queued_images(self) -> int:
        """Number of images of these frames: a frame has one or two."""
        return sum(frame.n_images for frame, _ in self._queue)

    @property
    def is_queue_full(self) -> bool:
        """Whether the next frame would make the plane drop its oldest one."""
        return self.is_calibrating and len(self._queue) >= self._limits.max_queued

    def start_session(self, t0_s: float, from_s: float) -> None:
        """Start at from_s in a session whose first frame was at t0_s (s)."""
        self._t0_s = t0_s
        rate_hz = self._rate_hz / self._block_frames
        self._aligner.start_session(t0_s, rate_hz, from_s)

    def set_rate(self, rate_hz: float) -> None:
        """Process frames of this rate from now on: the announced one was wrong."""
        self._rate_hz = rate_hz
        if self._processor and self.reference:
            state = self._processor.get_state()
            self.use_reference(self.reference).restore_state(state)

    def resume(self, folder: Path, number: int) -> float:
        """Continue from the state that an earlier daemon saved in `folder`.

        Returns t0 of the session in s. Raises UserError if the state cannot be used.
        """
        state = load_state(get_state_path(folder, number), self._settings)
        path = get_reference_path(folder, number)
        reference, self.stored_field = load_reference(path, self._settings)
        processor = self.use_reference(reference)
        processor.restore_state(state.processor_state)
        return state.t_first_frame_s

    def get_state(self) -> PlaneState | None:
        """Return what a restart needs to continue; None before the first frame."""
        if self._processor is None or not self._lagging:
            return None
        newest_s = self._lagging[-1].message.t
        return PlaneState(self._processor.get_state(), self._t0_s, newest_s)

    @property
    def newest_frame_s(self) -> float:
        """Time of the newest processed frame, microscope's clock; -inf before one."""
        return self._lagging[-1].message.t if self._lagging else -math.inf

    def rate_traces(self) -> tuple[Array, TraceQuality] | None:
        """Return ids and trace quality of the neurons; None before the first frame."""
        if self._processor is None or not self._lagging:
            return None
        return self.stored_field.rois.ids, self._processor.trace_quality()

    def take_notices(self) -> list[str]:
        """Return the sentences for the user since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def add_frame(self, frame: PlaneFrame) -> list[ProcessedFrame]:
        """Take one frame; return what could be processed now, oldest first."""
        if self.is_queue_full:  # and the sender cannot wait
            self._drop_oldest_frame()
            self._n_dropped += 1
        is_late = self.is_calibrating or bool(self._queue)
        self._queue.append((frame, is_late))
        return self.process_pending()

    def process_pending(self, *, is_ending: bool = False) -> list[ProcessedFrame]:
        """Process some queued frames; is_ending: no further frame is expected."""
        if self._processor is None:
            self._calibrate(is_ending)
        if self._processor is None:
            return []
        count = min(_MAX_FRAMES_PER_CALL, len(self._queue))
        return [
            self._process(self._processor, *self._queue.popleft()) for _ in range(count)
        ]

    def use_reference(self, reference: PlaneReference) -> FrameProcessor:
        """Register to this reference from the next frame on; return the processor."""
        self.reference = reference
        depth, tracker = reference.depth_reference, None
        if depth is not None:
            tracker = DepthTracker(depth.stack, self._rate_hz, depth.plane_distance)
        self._processor = FrameProcessor(
            reference.template,
            reference.masks,
            self._rate_hz,
            self._settings,
            detector_offset_counts=reference.detector_offset_counts,
            scan_offset_px=reference.scan_offset_px,
            depth_tracker=tracker,
        )
        self._aligner.set_microscope_rate(self._rate_hz / self._block_frames)
        self._lagging = self._make_lagging(self._lagging)
        low, high = np.percentile(reference.template, (1, 99.7))
        self._contrast = float(low), float(max(high - low, 1.0))
        return self._processor

    def renew_reference(self) -> None:
        """Build a new reference from the next frames, and find the neurons in it."""
        if self.reference is not None:
            rois, image = self.reference.masks.cells, self.reference.template
            self.stored_field = StoredField(rois, image)
        self._processor = self._building = None

    def make_labels(self) -> Array:
        """Return uint32 (lines, pixels): 0 = background, k = the k-th neuron."""
        if self.reference:
            return make_label_image(self.reference.masks.cells)
        return make_label_image(self.stored_field.rois)

    def make_view(self, step_px: int) -> Array:
        """Return the newest registered image as uint8, every `step_px`-th pixel."""
        assert self._processor is not None
        low, span = self._contrast
        image = self._processor.registered_image[::step_px, ::step_px]
        return np.clip((image - low) * (255 / span), 0, 255).astype(np.uint8)

    @property
    def _block_frames(self) -> int:
        """Number of frames that are averaged before deconvolution."""
        return self._processor.block_frames if self._processor else 1

    def _make_lagging(self, frames: Iterable[PlaneFrame] = ()) -> deque[PlaneFrame]:
        lag = self._settings.traces.deconvolution_lag_frames * self._block_frames
        return deque(frames, maxlen=lag + 1)

    def _calibrate(self, is_ending: bool) -> None:
        if self._building is None:
            self._start_building(is_ending)
        elif self._building.done():
            building, self._building = self._building, None
            try:
                self.use_reference(building.result())
                self._notices += building.result().notices
                self._report_dropped_frames()
            except ValueError as error:
                self._drop_tried_frames(str(error))
            except Exception as error:
                self._on_error("making the reference", error)
                self._drop_tried_frames(f"The reference cannot be made: {error}.")

    def _start_building(self, is_ending: bool) -> None:
        n_needed = self._limits.n_reference
        if len(self._queue) >= n_needed or (is_ending and self._queue):
            tried = [frame for frame, _ in islice(self._queue, n_needed)]
            self._n_tried = len(tried)
            unmarked = [frame for frame in tried if not frame.marked]
            frames = unmarked or tried
            self._building = self._background.submit(
                build_reference,
                [frame.registration_image for frame in frames],
                self.stored_field,
                self._settings,
                [frame.signal_image for frame in frames],
            )

    def _drop_tried_frames(self, reason: str) -> None:
        # Some of them may have been dropped already to make space for newer ones.
        for _ in range(min(self._n_tried, len(self._queue))):
            self._drop_oldest_frame()
        if reason != self._newest_failure:
            self._newest_failure = reason
            self._notices.append(
                f"{reason} The next {self._n_tried} frames are tried, until it succeeds"
            )

    def _report_dropped_frames(self) -> None:
        if self._n_dropped:
            self._notices.append(
                f"{self._n_dropped} frames were left out: no more than "
                f"{self._limits.max_queued} can be queued while the reference is made"
            )
        self._n_dropped = 0

    def _drop_oldest_frame(self) -> None:
        frame, _ = self._queue.popleft()
        self.n_unusable += frame.n_images

    def _process(
        self, processor: FrameProcessor, frame: PlaneFrame, is_late: bool
    ) -> ProcessedFrame:
        traces, error = processor.process_frame_safely(
            frame.signal_image, frame.registration_image, frame.marked
        )
        self._lagging.append(frame.without_pixels())
        samples: list[EncoderSample] = []
        oldest = self._lagging[0]
        if traces.has_activity and len(self._lagging) == self._lagging.maxlen:
            # Deconvolution uses later frames: its activity belongs to the oldest one.
            message = oldest.message
            try:
                samples = self._aligner.add_activity(
                    message.t, message.frame, traces.activity
                )
            except Exception as raised:  # the traces of the frame are still recorded
                error = raised
        if error:
            self._on_error("processing a frame", error)
        self._notices += processor.take_notices()
        depth = processor.depth_estimate
        return ProcessedFrame(frame, traces, samples, oldest, is_late, depth)
