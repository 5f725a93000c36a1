"""Watchdogs: report once when a periodic message stops, and once when it resumes.

A frozen program keeps its connections, so its silence is the only sign. There is no
clock here: the caller gives the time.
"""

from __future__ import annotations

INVERTER_TIMEOUT_S = 2.0  # the inverter sends its health once a second
_NO_FRAME = "no frame for {:.1f} s: is the sender frozen, or the scan paused?"
_NO_HEALTH = "no message of the inverter for {:.1f} s: is it frozen or overloaded?"
_MIN_PERIODS = 3.0  # a slow microscope stalls after this many frame periods


class Watchdog:
    """Watches for one message that is expected at least every `timeout_s`.

    It is inactive until the first message, and after `pause`. is_reported: whether the
    present silence has been reported.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.is_reported = False
        self._newest_s: float | None = None

    def mark_received(self, now_s: float) -> float | None:
        """Learn of a message; return how long (s) it was missing, if reported."""
        newest_s, was_reported = self._newest_s, self.is_reported
        self._newest_s, self.is_reported = now_s, False
        return now_s - newest_s if was_reported and newest_s is not None else None

    def pause(self) -> None:
        """Expect nothing until the next message."""
        self._newest_s, self.is_reported = None, False

    def check_silence(self, now_s: float) -> float | None:
        """Return once how long (s) the message has been missing, if it is overdue."""
        if self._newest_s is None or self.is_reported:
            return None
        silent_s = now_s - self._newest_s
        self.is_reported = silent_s >= self.timeout_s
        return silent_s if self.is_reported else None


class Watchdogs:
    """The daemon's watchdogs: for frames during a session, and for the inverter.

    stall_timeout_s: of frames; a slow microscope has three of its frame periods.
    """

    def __init__(self, stall_timeout_s: float) -> None:
        self.frames = Watchdog(stall_timeout_s)
        self.inverter = Watchdog(INVERTER_TIMEOUT_S)
        self._stall_timeout_s = stall_timeout_s
        self._resumed: list[str] = []

    def begin_session(self, rate_hz: float) -> None:
        """Begin a session with this many frames, or volumes, per second."""
        self.frames = Watchdog(max(self._stall_timeout_s, _MIN_PERIODS / rate_hz))

    def mark_frame(self, now_s: float) -> None:
        """Learn that a frame arrived."""
        if stalled_s := self.frames.mark_received(now_s):
            self._resumed.append(f"frames arrive again, after {stalled_s:.1f} s")

    def mark_inverter_health(self, now_s: float) -> None:
        """Learn that the inverter sent its health."""
        if stalled_s := self.inverter.mark_received(now_s):
            self._resumed.append(
                f"the inverter responds again, after {stalled_s:.1f} s"
            )

    def take_notices(self, now_s: float) -> list[tuple[str, str]]:
        """Return (event name, sentence) of what stalled or resumed since last time."""
        notices = [("resumed", sentence) for sentence in self._resumed]
        self._resumed = []
        for dog, text in ((self.frames, _NO_FRAME), (self.inverter, _NO_HEALTH)):
            if silent_s := dog.check_silence(now_s):
                notices.append(("stalled", text.format(silent_s)))
        return notices
