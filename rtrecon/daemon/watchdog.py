"""What should come again and again, and does not: noticed once, and so is its return.

A frozen program keeps its connections, so silence is all there is to tell it by. No
clock: times are given.
"""

from __future__ import annotations

INVERTER_S = 2.0  # without its health, which comes every second
_NO_FRAME = "no frame for {:.1f} s: is the sender frozen, or the scan paused?"
_NO_HEALTH = "no word of the inverter for {:.1f} s: is it frozen or overloaded?"
_PERIODS = 3.0  # of a slow microscope's, that are no stall yet


class Stall:
    """Follows one thing that is expected at least every `after_s`.

    Nothing is expected before it came for the first time, nor after `rest`.
    """

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self.is_told = False
        self._newest_s: float | None = None

    def came(self, now_s: float) -> float | None:
        """Take note that it came; return for how long (s) it had stalled, if it had."""
        newest_s, was_told = self._newest_s, self.is_told
        self._newest_s, self.is_told = now_s, False
        return now_s - newest_s if was_told and newest_s is not None else None

    def rest(self) -> None:
        """Expect nothing until it comes again."""
        self._newest_s, self.is_told = None, False

    def check(self, now_s: float) -> float | None:
        """Return how long (s) it has not come, once, when that is too long."""
        if self._newest_s is None or self.is_told:
            return None
        silent_s = now_s - self._newest_s
        self.is_told = silent_s >= self.after_s
        return silent_s if self.is_told else None


class Watch:
    """What the front expects: frames, while a session runs, and the inverter's health.

    stall_s: how long frames may stay away; a slow microscope's, three periods.
    """

    def __init__(self, stall_s: float) -> None:
        self.frames = Stall(stall_s)
        self.inverter = Stall(INVERTER_S)
        self._stall_s = stall_s
        self._returns: list[str] = []

    def begin(self, rate_hz: float) -> None:
        """Begin a session of so many frames, or volumes, a second."""
        self.frames = Stall(max(self._stall_s, _PERIODS / rate_hz))

    def frame(self, now_s: float) -> None:
        """Take note of a frame."""
        if stalled_s := self.frames.came(now_s):
            self._returns.append(f"frames come again, after {stalled_s:.1f} s")

    def health(self, now_s: float) -> None:
        """Take note that the inverter said how it is."""
        if stalled_s := self.inverter.came(now_s):
            self._returns.append(f"the inverter is back, after {stalled_s:.1f} s")

    def notices(self, now_s: float) -> list[tuple[str, str]]:
        """Return names and sentences of events: what stalls since now, what is back."""
        told = [("resumed", sentence) for sentence in self._returns]
        self._returns = []
        for stall, words in ((self.frames, _NO_FRAME), (self.inverter, _NO_HEALTH)):
            if silent_s := stall.check(now_s):
                told.append(("stalled", words.format(silent_s)))
        return told
