"""The recording of the current session, as the daemon controls it."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import msgspec

from rtrecon import config
from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.daemon.field_neurons import FieldNeurons, get_rate_unit
from rtrecon.daemon.report_writer import ReportWriter
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.protocol import messages
from rtrecon.session.about import About, DishAbout
from rtrecon.session.recorder import Recorder

REJECTION_REASONS = [reason.value for reason in RejectionReason]


class SessionRecording:
    """Starts and stops recordings; at most one is open.

    is_enabled: whether sessions are recorded. recorder: the open recording, if any.
    dish: constants of the recorded session of neurons in a dish, if it is one.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_enabled = settings.recording.enabled
        self.recorder: Recorder | None = None
        self.dish: DishAbout | None = None
        self._settings = settings
        self._folder = Path(settings.recording.folder)
        self._reports = ReportWriter(settings.recording)
        self._is_failure_reported = False

    @property
    def is_behind(self) -> bool:
        """Whether the disk is so far behind that rows could soon be dropped."""
        return self.recorder is not None and self.recorder.is_behind

    def start(
        self,
        start: messages.SessionStart,
        field: FieldNeurons,
        settings: Settings,
        dish: DishAbout | None = None,
    ) -> None:
        """Open a recording of this session, if recording is enabled.

        settings: of the session, which differ from the daemon's in a time-lapse. dish:
        constants of a session of neurons in a dish.
        """
        if not self.is_enabled or self.recorder is not None:
            return
        self._is_failure_reported = False
        self.dish = dish
        about = _describe_session(start, field, settings)
        self.recorder = Recorder(
            self._folder,
            msgspec.structs.replace(about, dish=dish),
            raw_messages=self._settings.recording.raw_messages,
        )
        # A replay needs the session's start, also where the recording began later.
        unit_ids = field.rois.ids if start.has_unit_rates else b""
        parts = messages.encode_incoming(start, unit_ids)
        self.recorder.add_raw_message(parts, time.time())

    def set_frame_rate(self, rate_hz: float) -> None:
        """Learn the frame rate: as announced, or as measured where that was wrong."""
        if self.recorder:
            self.recorder.set_frame_rate(rate_hz)

    def stop(self) -> None:
        """Close the recording in the background, as its disk may be slow."""
        recorder, self.recorder = self.recorder, None
        if recorder:
            arguments = (recorder,)
            name = "close recording"
            threading.Thread(target=self._finish, args=arguments, name=name).start()

    def close(self) -> None:
        """Close the recording, and wait until it is written."""
        if self.recorder:
            self._finish(self.recorder)

    @property
    def will_write_report(self) -> bool:
        """Whether the session's report is written when the recording is closed."""
        return self.recorder is not None and self._reports.is_due(self.recorder)

    def write_report_when_idle(self, is_idle: bool, now_s: float) -> Path | None:
        """Write the session's report when no frame has come for some seconds.

        Returns the session's folder when it starts to write.
        """
        return self._reports.write_when_idle(self.recorder, is_idle, now_s)

    def record_result(
        self, message: messages.PublishedMessage, payload: Array | None = None
    ) -> None:
        """Record a message that was published; payload: of a movie or its spread."""
        recorder = self.recorder
        if recorder is None:
            return
        if isinstance(message, messages.Movie) and payload is not None:
            recorder.add_movie(message, payload)
        elif isinstance(message, messages.Spread) and payload is not None:
            recorder.add_spread(message, payload)
        elif isinstance(message, messages.Quality):
            recorder.add_quality(message)
        elif isinstance(message, messages.Health):
            recorder.add_health(message)
        elif isinstance(message, messages.Calibration):
            recorder.add_calibration(message)
        elif isinstance(message, messages.Event):
            recorder.add_event(message)

    def take_failure(self) -> str | None:
        """Return once why the open recording has failed; None if it has not."""
        failure = self.recorder.failure if self.recorder else None
        if failure is None or self._is_failure_reported:
            return None
        self._is_failure_reported = True
        return failure

    def get_free_disk_gb(self) -> float | None:
        """Return the free space for recordings in GB; None if nothing is recorded."""
        if not self.is_enabled:
            return None
        try:
            return shutil.disk_usage(self._folder).free / 2**30
        except OSError:  # there is no such folder, or its disk is gone
            return None

    def _finish(self, recorder: Recorder) -> None:
        recorder.close()
        self._reports.write_report(recorder)


def _describe_session(
    start: messages.SessionStart, field: FieldNeurons, settings: Settings
) -> About:
    ids = field.rois.ids.tolist()
    return About(
        session=start.session,
        roi_ids=ids,
        neuron_ids=ids,
        rejection_reasons=REJECTION_REASONS,
        roi_planes=field.rois.planes.tolist() if len(start.planes) > 1 else [],
        rate_unit=get_rate_unit(start),
        rate_hz=start.rate_hz,
        announced_rate_hz=start.rate_hz,
        encoder_rate_hz=settings.timing.encoder_rate_hz,
        stimulus_space=field.space,
        hop_frames=settings.inversion.hop_frames,
        window_frames=settings.inversion.window_frames,
        chunk_s=settings.recording.chunk_s,
        has_photodiode=settings.screen.photodiode_line is not None,
        has_movie=settings.recording.movie,
        settings=json.loads(config.dump(settings)),
        meta={"source": start.source, **start.meta},
    )
