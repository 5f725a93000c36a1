"""Starts the calibrator when a session needs one, and hands its encoder over."""

from __future__ import annotations

from rtrecon.core.frame_intervals import is_time_lapse
from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.session_manager import SessionManager
from rtrecon.protocol import messages
from rtrecon.session.about import shorten_session_id
from rtrecon.session.session import list_sessions
from rtrecon.session.session_files import ENCODER_FILE

_MIN_STIMULUS_S = 10.0  # before that, the process would only cost memory


def needs_calibration(context: DaemonContext) -> bool:
    """Return whether sessions of these settings can be calibrated, and need it."""
    settings, neurons = context.settings, context.neurons
    return (
        settings.calibration.enabled
        and neurons.card is None
        and not neurons.is_dish
        and not settings.inversion.deterministic
    )


class CalibrationStarter:
    """Decides when the calibrator starts: once a recorded session has a stimulus.

    At once in a session for which an earlier daemon has handed over an encoder.
    """

    def __init__(self, context: DaemonContext, sessions: SessionManager) -> None:
        self._context, self._sessions = context, sessions
        self._is_needed = needs_calibration(context)
        self._session, self._has_encoder = "", False  # of an earlier recording

    def start_when_needed(self, now_s: float) -> None:
        """Start the calibrator if it is time to; call it often."""
        pipeline, workers = self._sessions.pipeline, self._context.workers
        if not self._is_needed or pipeline is None or workers.calibrator is not None:
            return
        if self._context.recording.recorder is None or len(pipeline.field.rois) == 0:
            return
        if is_time_lapse(pipeline.planes.rate_hz):
            return
        min_frames = _MIN_STIMULUS_S * pipeline.settings.timing.encoder_rate_hz
        has_stimulus = pipeline.output.n_stimulus_frames >= min_frames
        if has_stimulus or self._has_earlier_encoder(pipeline.start.session):
            workers.start_calibrator()

    def _has_earlier_encoder(self, session: str) -> bool:
        """Return whether a daemon before this one has trained one in this session."""
        if session != self._session:
            self._session, name = session, shorten_session_id(session)
            folder = self._context.settings.recording.folder
            self._has_encoder = any(
                (path / ENCODER_FILE).is_file()
                for path in list_sessions(folder)
                if name in path.name
            )
        return self._has_encoder


def hand_over_encoder(context: DaemonContext, message: messages.Calibration) -> None:
    """Let the inverter use the encoder that this message says is ready.

    The path is the recording's, never one that was received.
    """
    recorder = context.recording.recorder
    if recorder is None or not message.n_encoders:
        return
    path = (recorder.path / ENCODER_FILE).resolve()
    if path.is_file():
        context.workers.hand_over_encoder(path)
