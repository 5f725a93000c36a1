"""One time base for a session: seconds since it began."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.session.resume_state import load_first_frame_time
from rtrecon.session.session import Session


@dataclass(frozen=True)
class SessionClock:
    """Converts all clocks of a session to seconds since the session's start.

    start: when recording began, or the first frame was received if that was earlier.
    start_s: the same on the daemon's wall clock. first_frame_s: time of the session's
    first microscope frame, which is encoder frame 0. first_frame_microscope_s: the same
    on the microscope's clock.
    """

    start: datetime
    start_s: float
    first_frame_s: float
    first_frame_microscope_s: float
    encoder_rate_hz: float

    @classmethod
    def from_session(cls, session: Session) -> SessionClock:
        """Return a session's clock; UserError if the session has no frame."""
        frames, about = session.frames, session.about
        if not len(frames):
            raise UserError(
                f"{session.path} holds no images; there is nothing to export"
            )
        microscope_s = load_first_frame_time(session.path)
        if microscope_s is None:
            microscope_s = float(frames["t_microscope_s"][0])
        # The frame with the shortest way to the daemon; others were delayed.
        delays_s = frames["t_received_s"] - frames["t_microscope_s"]
        wall_s = microscope_s + float(np.min(delays_s))
        started = datetime.fromisoformat(about.started)
        start_s = min(started.timestamp(), wall_s)
        return cls(
            datetime.fromtimestamp(start_s, started.tzinfo),
            start_s,
            wall_s - start_s,
            microscope_s,
            about.encoder_rate_hz,
        )

    def from_microscope(self, t_s: Array) -> Array:
        """Convert times of the microscope's clock."""
        return t_s - self.first_frame_microscope_s + self.first_frame_s

    def from_wall(self, t_s: Array) -> Array:
        """Convert times of the daemon's wall clock."""
        return t_s - self.start_s

    def from_encoder_frame(self, encoder_frames: Array) -> Array:
        """Convert encoder frames to times."""
        return encoder_frames / self.encoder_rate_hz + self.first_frame_s
