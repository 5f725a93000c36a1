"""One clock for the file: NWB counts seconds since the session began."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.session.resume_state import state_file
from rtrecon.session.session import Session

_JITTER_S = 1e-6  # of times that count as regular


@dataclass(frozen=True)
class Clock:
    """Every time of a session, in s since it began: recording, or its first image.

    began_s: that moment on the wall clock of the daemon; first_s: how much later its
    first image came, at t0_s on the microscope's clock. rate_hz: of encoder frames,
    whose first is that image.
    """

    began: datetime
    began_s: float
    first_s: float
    t0_s: float
    rate_hz: float

    @classmethod
    def of(cls, session: Session) -> Clock:
        """Return a session's clock; UserError if it holds no image."""
        frames, about = session.frames, session.about
        if not len(frames):
            raise UserError(f"{session.path} holds no images; there is nothing to tell")
        t0_s = _first_image_s(session, float(frames["t"][0]))
        # Of the image that took the shortest way here: others waited for something.
        first_wall_s = t0_s + float(np.min(frames["t_received"] - frames["t"]))
        started = datetime.fromisoformat(about.started)
        began_s = min(started.timestamp(), first_wall_s)
        return cls(
            datetime.fromtimestamp(began_s, started.tzinfo),
            began_s,
            first_wall_s - began_s,
            t0_s,
            about.encoder_rate_hz,
        )

    def of_microscope(self, t_s: Array) -> Array:
        """Return times that the microscope told."""
        return t_s - self.t0_s + self.first_s

    def of_wall(self, t_s: Array) -> Array:
        """Return times of a wall clock."""
        return t_s - self.began_s

    def of_encoder(self, indices: Array) -> Array:
        """Return times of encoder frames."""
        return indices / self.rate_hz + self.first_s


def _first_image_s(session: Session, otherwise_s: float) -> float:
    """Return when the session's first image was, also of one that was gone on with."""
    kept = state_file(session.path, plane=0)
    if not kept.is_file():
        return otherwise_s
    with np.load(kept, allow_pickle=False) as state:
        return float(state["times_s"][0])


def regular(t_s: Array) -> dict[str, object]:
    """Return times as NWB takes them: start and rate where they keep to one."""
    steps_s = np.diff(t_s)
    if len(steps_s) > 1 and np.ptp(steps_s) < _JITTER_S:
        rate_hz = len(steps_s) / float(t_s[-1] - t_s[0])
        return {"starting_time": float(t_s[0]), "rate": rate_hz}
    return {"timestamps": t_s}
