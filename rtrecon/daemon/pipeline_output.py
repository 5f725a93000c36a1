"""Publishes and records what the processing steps found in one session."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from typing import Any

import numpy as np

from rtrecon.core.frame_intervals import extend_timeout
from rtrecon.core.types import Array
from rtrecon.daemon.plane import ProcessedFrame
from rtrecon.daemon.session_recording import REJECTION_REASONS, SessionRecording
from rtrecon.imaging.timing.screen_timing import PictureOnset
from rtrecon.imaging.timing.volume import VolumeSample
from rtrecon.metrics.latency import LatencyHistogram, RateMeter
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BehaviorValues
from rtrecon.session.tables import ActivityRow, FrameRow, OnsetRow
from rtrecon.transport.publisher import Publisher

_MIN_VIEW_STEP_PX, _MAX_VIEW_SIDE_PX = 2, 512
_VIEW_INTERVAL_S = 0.2
_RATE_WINDOW_S, _RATE_WINDOW_INTERVALS = 2.0, 5.0


class PipelineOutput:
    """The results of one session, on their way to subscribers and into the recording.

    n_processed: images. n_stimulus_frames: that were published. n_rejected: frames, by
    reason. sent_range: first and newest encoder frame that were published. history: the
    newest activity messages, which an inverter that is started later needs for its
    window. latency: histograms in ms. rate_hz: of the frames, as announced.
    """

    def __init__(
        self,
        publisher: Publisher,
        recording: SessionRecording,
        history_frames: int,
        rate_hz: float,
    ) -> None:
        self.n_processed = self.n_stimulus_frames = 0
        self.n_rejected: Counter[str] = Counter()
        self.sent_range: tuple[int, int] | None = None
        self.history: deque[list[Any]] = deque(maxlen=history_frames)
        window_s = extend_timeout(_RATE_WINDOW_S, rate_hz, _RATE_WINDOW_INTERVALS)
        self.frame_rate = RateMeter(window_s)
        self.latency = {
            name: LatencyHistogram() for name in ("frame_to_traces", "send_to_receive")
        }
        self._publisher = publisher
        self._recording = recording
        self._view_due_s: dict[int, float] = {}  # by plane

    def send_activity(
        self,
        complete: VolumeSample,
        behavior: BehaviorValues,
        t_newest_frame: float | None,
    ) -> None:
        """Publish and record the activity of all neurons at one encoder frame."""
        sample = complete.sample
        first = self.sent_range[0] if self.sent_range else sample.encoder_frame
        self.sent_range = first, sample.encoder_frame
        message = self._publisher.publish(
            messages.Activity,
            sample.values,
            encoder_frame=sample.encoder_frame,
            frame=sample.frame,
            t_frame=complete.t_received_s,
            behavior=behavior,
            is_backlog=complete.is_late,
            t_newest_frame=t_newest_frame,
        )
        self.history.append(messages.encode_published(message, sample.values))
        if recorder := self._recording.recorder:
            values = (np.nan if value is None else value for value in behavior)
            row = ActivityRow(sample.encoder_frame, sample.frame, *values)
            recorder.add_activity(row, sample.values)

    def count_frame(self, processed: ProcessedFrame) -> None:
        """Count a processed frame, and why it was rejected, if it was."""
        self.n_processed += processed.frame.n_images
        self.frame_rate.count_event(time.monotonic())
        if reason := processed.traces.shift.rejection_reason:
            self.n_rejected[reason] += 1

    def record_frame(self, plane: int, processed: ProcessedFrame) -> None:
        """Record one frame: its times, its shift and the traces of its neurons."""
        recorder = self._recording.recorder
        if recorder is None:
            return
        message, traces = processed.frame.message, processed.traces
        shift, t_received = traces.shift, processed.frame.t_received_s
        row = FrameRow(
            frame=message.frame,
            seq=message.seq,
            t_microscope_s=message.t,
            t_sent_s=message.t_send,
            t_received_s=t_received,
            shift_y_px=shift.y_px,
            shift_x_px=shift.x_px,
            confidence=shift.confidence,
            is_accepted=shift.is_accepted,
            latency_ms=(time.time() - t_received) * 1e3,
            plane=plane,
            rejection_reason=REJECTION_REASONS.index(shift.rejection_reason),
            z_offset=processed.depth.z,
        )
        recorder.add_frame(row, (traces.cell, traces.neuropil, traces.dff))

    def is_view_due(self, plane: int) -> bool:
        """Return whether it is time to publish the field of view of a plane."""
        now_s = time.monotonic()
        if now_s < self._view_due_s.get(plane, 0.0):
            return False
        self._view_due_s[plane] = now_s + _VIEW_INTERVAL_S
        return True

    def send_view(
        self, plane: int, processed: ProcessedFrame, image: Array, step_px: int
    ) -> None:
        """Publish the registered field of view; image: uint8 (lines, pixels).

        step_px: camera pixels per pixel of the image.
        """
        if not image.size:
            return
        shift, depth = processed.traces.shift, processed.depth
        self._publisher.publish(
            messages.FieldImage,
            image,
            frame=processed.frame.message.frame,
            shape=(image.shape[0], image.shape[1]),
            shift_px=(shift.y_px, shift.x_px),
            confidence=shift.confidence,
            downsampling=step_px,
            plane=plane,
            rejection_reason=shift.rejection_reason,
            z_offset=_none_if_nan(depth.z),
            z_offset_sd=_none_if_nan(depth.error),
        )

    def send_stimulus(self, encoder_frame: int, clip: str, image: Array) -> None:
        """Publish and record an encoder frame's stimulus, uint8 (height, width)."""
        self.n_stimulus_frames += 1
        shape = (image.shape[0], image.shape[1])
        self._publisher.publish(
            messages.AlignedStimulus,
            image,
            encoder_frame=encoder_frame,
            clip=clip,
            shape=shape,
        )
        if recorder := self._recording.recorder:
            recorder.add_stimulus(encoder_frame, image, clip)

    def record_behavior(self, message: messages.BehaviorSample) -> None:
        """Record a behaviour sample with its time on the microscope's clock."""
        if recorder := self._recording.recorder:
            recorder.add_behavior(message)

    def record_onset(self, onset: PictureOnset) -> None:
        """Record when a picture appeared on the screen."""
        if recorder := self._recording.recorder:
            t_onset_s = math.nan if onset.t_onset_s is None else onset.t_onset_s
            recorder.add_onset(OnsetRow(onset.t_sent_s, t_onset_s))

    def record_sync_edge(self, message: messages.SyncEdge) -> None:
        """Record an edge of a digital line."""
        if recorder := self._recording.recorder:
            recorder.add_sync_edge(message)


def choose_view_step(side_px: int) -> int:
    """Return how many camera pixels make a pixel of the published field image.

    side_px: of the camera. Published images stay small whatever the camera: subscribers
    that are busy have a queue of them.
    """
    return max(_MIN_VIEW_STEP_PX, -(-side_px // _MAX_VIEW_SIDE_PX))


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
