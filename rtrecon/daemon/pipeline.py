"""One session in the daemon: the order of the processing steps.

An image is paired with its other channel, registered and read with its plane, put on
the encoder's time base, joined with the other planes, published and recorded. The
steps see arrays; this module sees messages. Nothing here waits.
"""

from __future__ import annotations

import time
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from rtrecon.config import Settings
from rtrecon.daemon.auxiliary_alignment import AuxiliaryAlignment
from rtrecon.daemon.channel_pairing import ChannelPairing, ReceivedFrame
from rtrecon.daemon.dish_facts import describe_dish
from rtrecon.daemon.error_reporter import ErrorReporter
from rtrecon.daemon.field_neurons import FieldNeurons
from rtrecon.daemon.pipeline_output import PipelineOutput, choose_view_step
from rtrecon.daemon.plane import ProcessedFrame
from rtrecon.daemon.plane_set import PlaneSet
from rtrecon.daemon.rejection_monitor import RejectionMonitor
from rtrecon.daemon.session_recording import SessionRecording
from rtrecon.imaging.timing.volume import Volume, VolumeSample
from rtrecon.protocol import messages
from rtrecon.session.about import DishAbout
from rtrecon.transport.publisher import Publisher

if TYPE_CHECKING:
    from rtrecon.daemon.dish_output import DishOutput

# The other planes of a volume wait for a silent plane for this many of its periods.
_MAX_SILENT_PERIODS = 2.5


class Pipeline:
    """From the frames of one session to its activity.

    start: the session's first message. field: its neurons. settings: of this session,
    which differ from the daemon's in a time-lapse. dish: constants of a session of
    neurons in a dish, else None. planes, pairing, auxiliary,
    output: the processing steps.
    """

    def __init__(
        self,
        start: messages.SessionStart,
        field: FieldNeurons,
        settings: Settings,
        publisher: Publisher,
        recording: SessionRecording,
        errors: ErrorReporter,
    ) -> None:
        self.start = start
        self.field = field
        self.settings = settings
        self.recording = recording
        self._errors = errors
        encoder_rate_hz = settings.timing.encoder_rate_hz
        history_frames = settings.inversion.window_frames
        self.output = PipelineOutput(
            publisher, recording, history_frames, start.rate_hz
        )
        self.rejections = RejectionMonitor(start.rate_hz * len(start.planes))
        self.pairing = ChannelPairing(start, settings)
        n_channels = self.pairing.n_channels
        self.planes = PlaneSet(start, field, settings, errors.report, n_channels)
        # In a deterministic run frames wait, so arrival says nothing about clocks.
        self.auxiliary = AuxiliaryAlignment(
            encoder_rate_hz,
            self.output,
            space=field.space,
            settings=settings,
            corrects_clocks=not settings.inversion.deterministic,
        )
        self.dish: DishAbout | None = None
        self._dish_output: DishOutput | None = None
        if settings.dish.enabled:
            from rtrecon.daemon.dish_output import EVENT_KINDS, DishOutput

            self.dish = describe_dish(start, settings, EVENT_KINDS)
            self._dish_output = DishOutput(publisher, recording)
        self._view_step_px = choose_view_step(max(start.shape))
        self._encoder_rate_hz = encoder_rate_hz
        indices = [field.plane_indices(plane) for plane in range(len(self.planes))]
        self._volume = Volume(indices, self._max_wait_frames())
        self._first: ReceivedFrame | None = None
        self._newest: ReceivedFrame | None = None

    def add_frame(self, received: ReceivedFrame) -> None:
        """Take one frame, and process what is ready."""
        if self._first is None:
            self._first = received
            t0_s = self.planes.start_session(received.message.t)
            self.auxiliary.start_session(t0_s, self.start.rate_hz)
        self._newest = received
        with self._errors.catch("following the senders' clocks"):
            self.auxiliary.add_frame(received.message, time.monotonic())
        if not self.pairing.is_used(received):
            self.output.n_processed += 1
            return
        # The behaviour as it is known now, so that a replay repeats it.
        behavior = self.auxiliary.latest_behavior()
        frame = self.pairing.add_image(received, behavior)
        if frame is None:
            return
        plane, start_s = received.message.plane, frame.message.t
        scan_s = 1 / (self.planes.rate_hz * len(self.planes))
        frame = replace(
            frame, marked=self.auxiliary.light.find_reason(start_s, start_s + scan_s)
        )
        processed = self.planes.add_frame(plane, frame)
        self._volume.max_wait_frames = self._max_wait_frames()
        self._send_results(plane, processed)
        if processed and not processed[-1].is_late and self.dish is None:
            self._measure_latency(received)

    def process_pending(self, now_s: float, *, is_ending: bool = False) -> None:
        """Process queued frames; is_ending: no further frame is expected."""
        recorder = self.recording.recorder
        if recorder and not recorder.failure:
            with self._errors.catch("saving the state for a restart"):
                self.planes.save_if_due(recorder.path, now_s)
        with self._errors.catch("aligning stimulus and behavior"):
            self.auxiliary.release_held(now_s, is_ending=is_ending)
        for plane in range(len(self.planes)):
            with self._errors.catch(f"processing the frames of plane {plane}"):
                results = self.planes.process_pending(plane, is_ending)
                self._send_results(plane, results)

    def take_dish_sentences(self) -> list[str]:
        """Return what happened in a dish since the last call, for the log."""
        return self._dish_output.take_sentences() if self._dish_output else []

    @property
    def duration_s(self) -> float:
        """Time from the first to the newest frame on the microscope's clock, in s."""
        if self._first is None or self._newest is None:
            return 0.0
        return self._newest.message.t - self._first.message.t

    def realtime_factor(self) -> float:
        """Return the seconds of recording received per second since the first frame."""
        if self._first is None or self._newest is None:
            return 0.0
        wall_s = self._newest.t_received - self._first.t_received
        t_s = self._newest.message.t - self._first.message.t
        return t_s / wall_s if wall_s > 0 else 0.0

    def close(self) -> None:
        """Cancel the work in the background."""
        self.planes.close()

    def _max_wait_frames(self) -> int:
        """Return how many encoder frames a silent plane is waited for."""
        periods = _MAX_SILENT_PERIODS / self.planes.rate_hz
        return ceil(periods * self._encoder_rate_hz)

    def _measure_latency(self, received: ReceivedFrame) -> None:
        sent_s = received.t_received - received.message.t_send
        latency = self.output.latency
        latency["send_to_receive"].add_latency(max(0.0, sent_s) * 1e3)
        taken_s = time.time() - received.t_received
        latency["frame_to_traces"].add_latency(taken_s * 1e3)

    def _send_results(self, plane: int, results: list[ProcessedFrame]) -> None:
        for number, processed in enumerate(results, 1):
            # Results that are processed but not sent yet are waited for, too.
            is_catching_up = self.planes.n_queued > 0 or number < len(results)
            with self._errors.catch("publishing the activity of a frame"):
                self._send_activity(plane, processed, is_catching_up)
            self.output.count_frame(processed)
            if self._dish_output and processed.dish:
                with self._errors.catch("publishing a traced picture"):
                    self._dish_output.send_picture(plane, processed, processed.dish)
                taken_s = time.time() - processed.frame.t_received_s
                self.output.latency["frame_to_traces"].add_latency(taken_s * 1e3)
            reason = processed.traces.shift.rejection_reason
            self.rejections.add_frame(reason, time.monotonic())
            with self._errors.catch("recording a frame"):
                self.output.record_frame(plane, processed)
            if self.output.is_view_due(plane):
                with self._errors.catch("publishing the field of view"):
                    view = self.planes.make_view(plane, self._view_step_px)
                    self.output.send_view(plane, processed, view, self._view_step_px)

    def _send_activity(
        self, plane: int, processed: ProcessedFrame, is_catching_up: bool
    ) -> None:
        t_received = processed.sample_frame.t_received_s
        samples = [
            VolumeSample(sample, t_received, processed.is_late)
            for sample in processed.samples
        ]
        t_newest = self._newest.t_received if self._newest else None
        for complete in self._volume.add_plane_samples(
            plane, samples, is_catching_up=is_catching_up
        ):
            self.output.send_activity(complete, processed.frame.behavior, t_newest)
