"""What the display has received: from messages to everything the window draws.

Nothing here uses Qt. Time is an argument (seconds of any monotonic clock) and messages
are arguments: the same messages at the same times always give the same state.

Every panel has a `PanelState`, which stores what that panel draws.
`DisplayState` gives each message to the panel states that ask for its type, and stores
what belongs to no panel: the movie, the health of the processes, the newest event.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, TypeVar

from rtrecon.core.frame_intervals import extend_timeout
from rtrecon.core.progress import format_duration
from rtrecon.core.types import Array
from rtrecon.display.calibration_text import describe_calibration
from rtrecon.display.movie_spread import MovieSpread
from rtrecon.display.playback import Playback
from rtrecon.display.session_contents import SessionContents
from rtrecon.protocol import messages
from rtrecon.protocol.messages import PublishedMessage

MAX_SILENCE_S = 2.0
MAX_SILENT_INTERVALS = 3.0  # of the frames of a time-lapse
_NEVER = -math.inf
_NOT_YET = {"activity": "No activity yet", "movie": "No movie yet"}
_PROCESS_STATES = {  # (process, state) that one word does not explain
    ("daemon", "waiting"): "The daemon is ready for the first frame.",
    (
        "daemon",
        "calibrating",
    ): "The daemon makes a reference image of the first frames.",
    ("daemon", "idle"): "The session has ended, or the scan is paused.",
    ("inverter", "waiting"): "The inverter waits for the first activity.",
    ("inverter", "restarting"): "The inverter is being restarted.",
}


class PanelState(ABC):
    """What one panel draws, without Qt; a new session begins with a new one.

    message_types: the messages that `update` receives.
    """

    message_types: ClassVar[tuple[type, ...]] = ()

    @abstractmethod
    def update(self, message: PublishedMessage, payload: Array, now_s: float) -> bool:
        """Store one message; return whether the panel has to be drawn again."""


_State = TypeVar("_State", bound=PanelState)


class DisplayState:
    """Everything received so far; a new session starts it afresh.

    `changed` names what is to be drawn again: types of panel states, "health" and
    "event". Who draws it removes it from the set.
    """

    def __init__(
        self, panel_states: Sequence[type[PanelState]] = (), address: str = ""
    ) -> None:
        """`address`: where the daemon publishes, for the notice that it is missing."""
        self.address = address
        self.changed: set[object] = set()
        self.health: dict[str, messages.Health] = {}
        self.event = ""
        self.event_counts: Counter[str] = Counter()  # by name
        self.daemon_stopped = False
        self.refusal = ""  # why the daemon does not accept this display
        self._panel_types = tuple(panel_states)
        self._last_message_s = _NEVER
        self._begin_session("")

    def _begin_session(self, session: str) -> None:
        self.session = session
        self.playback = Playback()
        self.contents = SessionContents()
        self.identifiability: Array | None = None  # float32 (height, width), 0..1
        self.spread: MovieSpread | None = None
        self.calibration: messages.Calibration | None = None
        self.has_field = False
        self._panels = {kind: kind() for kind in self._panel_types}
        self._activity_s = self._movie_s = _NEVER
        self.changed.update(self._panel_types)

    def panel(self, kind: type[_State]) -> _State:
        """Return the state of the panels that draw `kind`."""
        state = self._panels[kind]
        assert isinstance(state, kind)
        return state

    def update(self, message: PublishedMessage, payload: Array, now_s: float) -> None:
        """Store one message, as `messages.decode_published` returns it."""
        self._last_message_s = now_s
        if isinstance(message, messages.Event):
            self._update_event(message)
        elif isinstance(message, messages.Health):
            self._update_health(message)
        elif self._is_of_session(message):
            self._update_data(message, payload, now_s)
        else:
            return  # a late message of the session before
        self._update_panels(message, payload, now_s)

    def notice(self, now_s: float) -> str:
        """Return what is missing: a headline and lines below it; "" if all is well."""
        if self._last_message_s == _NEVER:
            return self._no_daemon()
        if self.daemon_stopped:
            return "The daemon has stopped"
        if self.is_daemon_silent(now_s):
            silence_s = now_s - self._last_message_s
            return (
                f"No message from the daemon for {format_duration(silence_s)}\n"
                "Is it still running? Is the network connected?"
            )
        if now_s - self._activity_s > self._find_activity_timeout():
            return self._missing("activity", self._activity_s, "daemon", now_s)
        if self.is_without_encoder:
            daemon = self.health["daemon"]
            contents = self.contents.describe(daemon.frame_interval_s)
            if self.calibration and self.calibration.session == daemon.session:
                return f"{describe_calibration(self.calibration)}\n{contents}"
            return f"{self._recording_headline()}\n{contents}"
        if now_s - self._movie_s > MAX_SILENCE_S:
            return self._missing("movie", self._movie_s, "inverter", now_s)
        return ""

    @property
    def is_without_encoder(self) -> bool:
        """Whether the daemon has no encoder, so that there is no movie (yet)."""
        daemon = self.health.get("daemon")
        return daemon is not None and not daemon.has_inverter

    def conditions(self, now_s: float) -> dict[str, str]:
        """Return what is wrong now, a sentence by name; empty if nobody knows."""
        daemon = self.health.get("daemon")
        if daemon is None or self.daemon_stopped or self.is_daemon_silent(now_s):
            return {}
        return daemon.conditions

    def is_daemon_silent(self, now_s: float) -> bool:
        """Return whether no message of any kind was received for too long."""
        return now_s - self._last_message_s > MAX_SILENCE_S

    def _find_activity_timeout(self) -> float:
        """Return after which silence (s) the activity of a frame is missing."""
        daemon = self.health.get("daemon")
        if daemon is None or not daemon.frame_interval_s:
            return MAX_SILENCE_S
        rate_hz = 1 / daemon.frame_interval_s
        return extend_timeout(MAX_SILENCE_S, rate_hz, MAX_SILENT_INTERVALS)

    def _is_of_session(self, message: PublishedMessage) -> bool:
        """Return whether to store a message; a new session begins with its first."""
        if message.session == self.session:
            return True
        # The daemon knows when a session begins. The inverter may still publish
        # results of the session before.
        from_daemon = isinstance(
            message, messages.Activity | messages.FieldImage | messages.DishCounts
        )
        if from_daemon or not self.session:
            self._begin_session(message.session)
            return True
        return False

    def _update_event(self, event: messages.Event) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(event.t))
        self.event = f"{clock}  {event.message or event.name}"
        self.event_counts[event.name] += 1
        self.daemon_stopped = event.name == "shutdown"
        self.changed.add("event")

    def _update_health(self, health: messages.Health) -> None:
        self.health[health.process] = health
        self.daemon_stopped = False
        self.changed.add("health")

    def _update_data(
        self, message: PublishedMessage, payload: Array, now_s: float
    ) -> None:
        self.daemon_stopped = False
        self.contents.update(message, payload)
        match message:
            case messages.FieldImage():
                self.has_field = True
            case messages.Activity():
                self._activity_s = now_s
            case messages.Movie():
                self.playback.add_movie(message, payload, now_s)
                self._movie_s = now_s
            case messages.AlignedStimulus():
                self.playback.add_stimulus(message, payload)
            case messages.Quality() if payload.size:
                self.identifiability = payload
            case messages.Calibration():
                self.calibration = message
            case messages.Spread():
                self.spread = MovieSpread(message, payload)

    def _update_panels(
        self, message: PublishedMessage, payload: Array, now_s: float
    ) -> None:
        for kind, state in self._panels.items():
            if isinstance(message, state.message_types) and state.update(
                message, payload, now_s
            ):
                self.changed.add(kind)

    def _no_daemon(self) -> str:
        if self.refusal:
            return f"The daemon refused this display\n{self.refusal}"
        return (
            f"Waiting for the daemon\nNo message yet from {self.address}. Start the "
            "daemon with 'rtrecon run'; if it publishes at another address, give that "
            "address with --publish."
        )

    def _recording_headline(self) -> str:
        daemon = self.health["daemon"]
        is_recording = daemon.disk_free_gb is not None
        is_recording &= "not recording" not in daemon.conditions
        if is_recording:
            return "Recording, without an encoder"
        return "Not recording, without an encoder"

    def _missing(self, what: str, last_s: float, process: str, now_s: float) -> str:
        """Return what is missing, since when, and what the process behind it does."""
        headline = _NOT_YET[what]
        if last_s != _NEVER:
            headline = f"No {what} for {format_duration(now_s - last_s)}"
        health = self.health.get(process)
        if process == "inverter" and health is None and self.health:
            return f"{headline}\nThe inverter loads the encoder."
        if health is None or health.state == "running":
            return headline
        state = f"The {process} reports: {health.state}."
        explained = _PROCESS_STATES.get((process, health.state), state)
        return f"{headline}\n{explained}"
