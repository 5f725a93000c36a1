"""From messages to what is drawn: everything a window needs to know, without a window.

Time is an argument (s, any monotonic clock), and so is every message: the same messages
at the same times always give the same picture.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from typing import NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display.held_out import HeldOutTraces
from rtrecon.display.playback import Playback
from rtrecon.display.raster import Raster
from rtrecon.display.verdict import Judged, judged
from rtrecon.protocol import messages
from rtrecon.protocol.messages import Published

SILENT_S = 2.0
QUALITY_S = 120.0
MOTION_S = 30.0
_MOST_POINTS = 4000  # bounds the histories, whatever the rate of messages
_MOST_PLANES = 64
_NOBODY = "Waiting for the daemon"
_NEVER = -math.inf
_SILENCE = "is it still running, and can it be reached?"
_DOING = {  # station and state, in other words where one word says too little
    ("front", "waiting"): "the daemon is ready for the first frame",
    ("front", "calibrating"): "a reference is being made of the first frames",
    ("front", "idle"): "the session has ended, or the scan is paused",
    ("inverter", "waiting"): "the inverter waits for its first activity",
    ("inverter", "restarting"): "the inverter is started again",
}


class Shift(NamedTuple):
    """Where a frame lay relative to the template, in camera pixels.

    z: how much deeper than the reference, in um or planes; NaN where nothing tells it.
    """

    t_s: float
    y_px: float
    x_px: float
    z: float


class Plane:
    """One plane's newest registered field and how the brain moved in it."""

    def __init__(self) -> None:
        self.field: messages.Field | None = None
        self.image: Array = np.zeros((1, 1), np.uint8)
        self.motion: deque[Shift] = deque(maxlen=_MOST_POINTS)

    def take(self, field: messages.Field, image: Array, now_s: float) -> None:
        """Learn the newest field, image uint8 of its shape."""
        self.field, self.image = field, image
        z = math.nan if field.z is None else field.z
        self.motion.append(Shift(now_s, *field.shift_px, z))


class State:
    """What is known so far; a new session starts it afresh.

    `changes` counts per topic what arrived, so that only what changed is redrawn.
    """

    def __init__(self) -> None:
        self.changes: Counter[str] = Counter()
        self.health: dict[str, messages.Health] = {}
        self.event = ""
        self.events: Counter[str] = Counter()  # by name
        self.daemon_stopped = False
        self.refusal = ""  # why the daemon does not let us listen
        self._heard_s = _NEVER
        self._begin("")

    def _begin(self, session: str) -> None:
        self.session = session
        self.playback = Playback()
        self.raster: Raster | None = None
        self.planes: dict[int, Plane] = {}
        self.held_out: HeldOutTraces | None = None
        self.trust: Array | None = None  # float32 (height, width), 0..1
        self.quality: deque[Judged] = deque(maxlen=_MOST_POINTS)
        self._activity_s = self._movie_s = _NEVER
        self.changes.update(messages.TOPICS)

    def take(self, message: Published, payload: Array, now_s: float) -> None:
        """Learn one message, as `wire.decode_published` gives it."""
        self._heard_s = now_s
        if isinstance(message, messages.Event):
            self._take_event(message)
        elif isinstance(message, messages.Health):
            self._take_health(message)
        elif self._belongs(message):
            self._take_data(message, payload, now_s)

    def notice(self, now_s: float) -> str:
        """Return one sentence on what is missing; empty while everything flows."""
        if self._heard_s == _NEVER:
            return f"Not let in\n{self.refusal}" if self.refusal else _NOBODY
        if self.daemon_stopped:
            return "The daemon has shut down"
        if self.gone(now_s):
            return f"Daemon silent for {now_s - self._heard_s:.0f} s\n{_SILENCE}"
        if now_s - self._activity_s > SILENT_S:
            return self._no_activity(now_s)
        if now_s - self._movie_s > SILENT_S:
            return self._no_movie(now_s)
        return ""

    def gone(self, now_s: float) -> bool:
        """Return whether nothing at all has been heard for too long."""
        return now_s - self._heard_s > SILENT_S

    def _belongs(self, message: Published) -> bool:
        """Begin with a new session; a straggler of the one before is dropped."""
        if message.session == self.session:
            return True
        # The front knows when a session begins; the rest may still speak of the last.
        if isinstance(message, messages.Activity | messages.Field) or not self.session:
            self._begin(message.session)
            return True
        return False

    def _take_event(self, event: messages.Event) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(event.t))
        self.event = f"{clock}  {event.message or event.name}"
        self.events[event.name] += 1
        self.daemon_stopped = event.name == "shutdown"
        self.changes["event"] += 1

    def _take_health(self, health: messages.Health) -> None:
        self.health[health.station] = health
        self.daemon_stopped = False
        self.changes["health"] += 1

    def _take_data(self, message: Published, payload: Array, now_s: float) -> None:
        self.daemon_stopped = False
        match message:
            case messages.Field():
                self._take_field(message, payload, now_s)
            case messages.Activity():
                self._take_activity(message, payload)
                self._activity_s = now_s
            case messages.Movie():
                self.playback.add(message, payload, now_s)
                self._movie_s = now_s
            case messages.Seen():
                self.playback.see(message, payload)
            case messages.Quality():
                self._take_quality(message, payload, now_s)

    def _take_field(self, field: messages.Field, image: Array, now_s: float) -> None:
        if len(self.planes) < _MOST_PLANES or field.plane in self.planes:
            self.planes.setdefault(field.plane, Plane()).take(field, image, now_s)
            self.changes["field"] += 1

    def _take_activity(self, message: messages.Activity, activity: Array) -> None:
        if self.raster is None or self.raster.n_neurons != len(activity):
            self.raster = Raster(len(activity))
        self.raster.add(message.index, activity)
        if self.held_out is not None:
            self.held_out.observe(message.index, activity)
        self.changes["activity"] += 1

    def _take_quality(
        self, message: messages.Quality, trust: Array, now_s: float
    ) -> None:
        self.quality.append(judged(message, now_s))
        if message.held_out is not None:
            self._take_held_out(message.held_out)
        if trust.size:
            self.trust = trust
        self.changes["quality"] += 1

    def _take_held_out(self, told: messages.HeldOut) -> None:
        if self.held_out is None or self.held_out.neurons != told.neurons:
            self.held_out = HeldOutTraces(told.neurons)
        self.held_out.predict(told)

    def _no_activity(self, now_s: float) -> str:
        doing = self._doing("front")
        if self._activity_s == _NEVER:
            return f"No activity yet{doing}"
        return f"No activity for {now_s - self._activity_s:.0f} s{doing}"

    def _no_movie(self, now_s: float) -> str:
        doing = self._doing("inverter")
        if self._movie_s == _NEVER:
            return f"No movie yet{doing}"
        return f"Inverter silent for {now_s - self._movie_s:.0f} s{doing}"

    def _doing(self, station: str) -> str:
        health = self.health.get(station)
        if health is None or health.state == "running":
            return ""
        return f"\n{_DOING.get((station, health.state), f'{station} {health.state}')}"
