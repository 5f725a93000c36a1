"""Watchdogs: report once when a periodic message stops, and once when it resumes.

A frozen program keeps its connections, so its silence is the only sign. There is no
clock here: the caller gives the time.
"""

from __future__ import annotations

from typing import NamedTuple

from rtrecon.core.frame_intervals import extend_timeout, format_interval
from rtrecon.protocol import messages

INVERTER_TIMEOUT_S = 2.0  # the inverter sends its health at least once a second
STIMULUS_TIMEOUT_S = 5.0  # programs may send nothing between two clips
BEHAVIOR_TIMEOUT_S = 3.0  # longer than a blink
_MIN_PERIODS = 3.0  # a slow microscope or camera stalls after this many periods
_INTERVAL_WEIGHT = 1 / 8  # of the newest interval in the mean interval


class _Texts(NamedTuple):
    """What the user reads of one stream; `condition`: its name in `Health`."""

    missing: str
    resumed: str
    condition: str = ""


_TEXTS = {
    "frames": _Texts(
        "no frame for {}: is the sender frozen, or the scan paused?",
        "frames arrive again, after {}",
    ),
    "inverter": _Texts(
        "no message of the inverter for {}: is it frozen or overloaded?",
        "the inverter responds again, after {}",
    ),
    "stimulus": _Texts(
        "no stimulus for {}: does the stimulus program still send?",
        "the stimulus arrives again, after {}",
        "stimulus gone",
    ),
    "pupil": _Texts(
        "no pupil size for {}: does the program of the eye camera run, and does "
        "it find the pupil?",
        "the pupil size arrives again, after {}",
        "pupil gone",
    ),
    "running": _Texts(
        "no running speed for {}: does the program of the wheel run?",
        "the running speed arrives again, after {}",
        "running gone",
    ),
}


class Watchdog:
    """Watches for one message that is expected at least every `min_timeout_s`.

    It is inactive until the first message, and after `pause`. With `min_periods`, a
    message that is usually slow may be missing for this many of its mean intervals, and
    the watchdog is inactive until the second message. is_reported: whether the present
    silence has been reported.
    """

    def __init__(self, min_timeout_s: float, min_periods: float = 0.0) -> None:
        self.is_reported = False
        self.min_timeout_s = min_timeout_s
        self._min_periods = min_periods
        self._interval_s: float | None = None  # mean
        self._newest_s: float | None = None

    @property
    def timeout_s(self) -> float | None:
        """After which silence (s) the message is overdue; None: not known yet."""
        if not self._min_periods:
            return self.min_timeout_s
        if self._interval_s is None:
            return None
        return max(self.min_timeout_s, self._min_periods * self._interval_s)

    def mark_received(self, now_s: float) -> float | None:
        """Learn of a message; return how long (s) it was missing, if reported."""
        newest_s, was_reported = self._newest_s, self.is_reported
        self._newest_s, self.is_reported = now_s, False
        if newest_s is None:
            return None
        if was_reported:
            return now_s - newest_s
        self._update_interval(now_s - newest_s)
        return None

    def pause(self) -> None:
        """Expect nothing until the next message."""
        self._newest_s, self.is_reported = None, False

    def excuse_silence(self, now_s: float) -> None:
        """Learn that messages wait at the daemon: the silence so far does not count."""
        if self._newest_s is not None:
            self._newest_s = now_s

    def check_silence(self, now_s: float) -> float | None:
        """Return once how long (s) the message has been missing, if it is overdue."""
        if self._newest_s is None or self.is_reported or self.timeout_s is None:
            return None
        silent_s = now_s - self._newest_s
        self.is_reported = silent_s >= self.timeout_s
        return silent_s if self.is_reported else None

    def missing_s(self, now_s: float) -> float | None:
        """Return how long (s) the message has been missing, if that was reported."""
        if self._newest_s is None or not self.is_reported:
            return None
        return now_s - self._newest_s

    def _update_interval(self, interval_s: float) -> None:
        if self._interval_s is None:
            self._interval_s = interval_s
        else:
            self._interval_s += _INTERVAL_WEIGHT * (interval_s - self._interval_s)


class Watchdogs:
    """The daemon's watchdogs: for all that senders send, and for the inverter.

    stall_timeout_s: of frames; a slow microscope has three of its frame periods.
    Stimulus, pupil and running are watched from their first messages in a session on.
    """

    def __init__(self, stall_timeout_s: float) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._dogs = {"inverter": Watchdog(INVERTER_TIMEOUT_S)}
        self._resumed: list[str] = []
        self._found: dict[str, str] = {}  # by the calibrator, until it is over
        self._watch_session(stall_timeout_s)

    @property
    def frames(self) -> Watchdog:
        """The watchdog of the frames of the current session."""
        return self._dogs["frames"]

    @property
    def inverter(self) -> Watchdog:
        """The watchdog of the inverter's health."""
        return self._dogs["inverter"]

    def begin_session(self, rate_hz: float) -> None:
        """Begin a session with this many frames, or volumes, per second."""
        self._found.clear()
        self._watch_session(self._frame_timeout_s(rate_hz))

    def set_frame_rate(self, rate_hz: float) -> None:
        """Learn how many frames, or volumes, per second the microscope really makes."""
        self.frames.min_timeout_s = self._frame_timeout_s(rate_hz)

    def mark_message(self, message: messages.IncomingMessage, now_s: float) -> None:
        """Learn that a sender's message arrived."""
        if isinstance(message, messages.Frame):
            self._mark("frames", now_s)
        elif isinstance(message, messages.StimulusFrame):
            self._mark("stimulus", now_s)
        elif isinstance(message, messages.BehaviorSample):
            if message.pupil_dilation is not None:
                self._mark("pupil", now_s)
            if message.running_speed is not None:
                self._mark("running", now_s)

    def mark_frames_held_back(self, now_s: float) -> None:
        """Learn that the daemon lets messages wait: nothing is missing."""
        self._mark("frames", now_s)
        for name in ("stimulus", "pupil", "running"):
            self._dogs[name].excuse_silence(now_s)

    def mark_inverter_health(self, now_s: float) -> None:
        """Learn that the inverter sent its health."""
        self._mark("inverter", now_s)

    def set_condition(self, name: str, sentence: str) -> None:
        """Report what a worker process found wrong in this session; "": it is over."""
        self._found.pop(name, None)
        if sentence:
            self._found[name] = sentence

    def pause_session(self) -> None:
        """Expect nothing of the senders until their next messages."""
        for name, dog in self._dogs.items():
            if name != "inverter":
                dog.pause()

    def take_notices(self, now_s: float) -> list[tuple[str, str]]:
        """Return (event name, sentence) of what stalled or resumed since last time."""
        notices = [("resumed", sentence) for sentence in self._resumed]
        self._resumed = []
        for name, dog in self._dogs.items():
            if silent_s := dog.check_silence(now_s):
                notices.append(("stalled", _describe_missing(name, silent_s)))
        return notices

    def list_conditions(self, now_s: float) -> dict[str, str]:
        """Return a sentence for each stream that is missing now, by its condition.

        Without frames and inverter: the display knows of these by itself.
        """
        return self._found | {
            _TEXTS[name].condition: _describe_missing(name, missing_s)
            for name, dog in self._dogs.items()
            if _TEXTS[name].condition and (missing_s := dog.missing_s(now_s))
        }

    def _frame_timeout_s(self, rate_hz: float) -> float:
        return extend_timeout(self._stall_timeout_s, rate_hz, _MIN_PERIODS)

    def _watch_session(self, frame_timeout_s: float) -> None:
        self._dogs |= {
            "frames": Watchdog(frame_timeout_s),
            "stimulus": Watchdog(STIMULUS_TIMEOUT_S, _MIN_PERIODS),
            "pupil": Watchdog(BEHAVIOR_TIMEOUT_S, _MIN_PERIODS),
            "running": Watchdog(BEHAVIOR_TIMEOUT_S, _MIN_PERIODS),
        }

    def _mark(self, name: str, now_s: float) -> None:
        if missing_s := self._dogs[name].mark_received(now_s):
            missing = format_interval(missing_s)
            self._resumed.append(_TEXTS[name].resumed.format(missing))


def _describe_missing(name: str, missing_s: float) -> str:
    return _TEXTS[name].missing.format(format_interval(missing_s))
