"""Neurons in a dish: the newest picture of each stage position, counts, and events."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display.panel_states.neuron_history import NeuronHistory
from rtrecon.display.state import PanelState
from rtrecon.protocol.dish_messages import BODY_COLUMNS, CONTACT_COLUMNS, NOT_CLAIMED
from rtrecon.protocol.messages import (
    DishBodies,
    DishContacts,
    DishCounts,
    DishTrace,
    Event,
    FieldImage,
    PublishedMessage,
)

MAX_POINTS, MAX_EVENTS, MAX_PLANES = 4000, 200, 64
EVENT_NAMES = frozenset(
    (
        *("contact", "contact_lost", "retraction", "new_body", "death"),
        *("out_of_focus", "reassigned"),
    )
)
_CLICK_REACH_PX = 6  # of the image of owners


class CountPoint(NamedTuple):
    """Counts of one picture; NaN where it was not traced."""

    hours: float
    length_mm_per_mm2: float
    contacts: float
    bodies: float


class DishPlaneState:
    """What is known of one stage position.

    view: uint8 (lines, pixels), and its step in camera px. owners: uint16, and its
    step. bodies, contacts: float32 tables with the columns of the protocol.
    """

    def __init__(self) -> None:
        self.counts: DishCounts | None = None
        self.points: deque[CountPoint] = deque(maxlen=MAX_POINTS)
        self.view: Array = np.zeros((1, 1), np.uint8)
        self.owners: Array = np.zeros((1, 1), np.uint16)
        self.view_step_px = self.owners_step_px = 1
        self.bodies: Array = np.zeros((0, len(BODY_COLUMNS)), np.float32)
        self.contacts: Array = np.zeros((0, len(CONTACT_COLUMNS)), np.float32)
        self.history = NeuronHistory()
        self._first_s: float | None = None

    def add_counts(self, message: DishCounts) -> None:
        """Store the counts of the next picture."""
        self.counts = message
        if self._first_s is None:
            self._first_s = message.t_microscope
        values = (message.length_mm_per_mm2, message.contacts, message.bodies)
        shown = values if message.is_traced else (np.nan,) * 3
        hours = (message.t_microscope - self._first_s) / 3600
        self.points.append(CountPoint(hours, *shown))

    def add_trace(self, message: DishTrace, owners: Array) -> None:
        """Store whose each pixel is; the last message of each picture."""
        self.owners, self.owners_step_px = owners, message.downsampling
        counts = self.counts
        if counts and counts.picture == message.picture and counts.is_traced:
            hours = self.points[-1].hours
            self.history.add_picture(hours, self.bodies, owners, self.owners_step_px)

    def replace_owners(
        self, owners: Array, step_px: int, bodies: Array
    ) -> DishPlaneState:
        """Return the same picture with other owners and without touches.

        bodies: (n, 3) number, y and x in camera px.
        """
        other = DishPlaneState()
        other.view, other.view_step_px = self.view, self.view_step_px
        other.owners, other.owners_step_px = owners, step_px
        other.bodies = np.zeros((len(bodies), len(BODY_COLUMNS)), np.float32)
        columns = [BODY_COLUMNS.index(name) for name in ("number", "y_px", "x_px")]
        other.bodies[:, columns] = bodies
        return other

    def find_neuron(self, y: float, x: float) -> int:
        """Return the number of the neuron near a position (camera px), or 0."""
        step_px, reach = self.owners_step_px, _CLICK_REACH_PX
        row, col = int(y // step_px), int(x // step_px)
        top, left = max(0, row - reach), max(0, col - reach)
        owners = self.owners[top : row + reach + 1, left : col + reach + 1]
        rows, cols = np.nonzero((owners > 0) & (owners < NOT_CLAIMED))
        if not len(rows):
            return 0
        away = np.hypot(rows + top - row, cols + left - col)
        nearest = int(np.argmin(away))
        return int(owners[rows[nearest], cols[nearest]])

    def list_partners(self, number: int) -> list[int]:
        """Return the neurons that a neuron touches, of touches that are confirmed."""
        names = ("first", "second", "is_confirmed")
        columns = [CONTACT_COLUMNS.index(name) for name in names]
        pairs = [row[:2] for row in self.contacts[:, columns].tolist() if row[2]]
        touched = {int(n) for pair in pairs if number in pair for n in pair}
        return sorted(touched - {number})

    def list_bodies(self) -> list[tuple[int, float, float]]:
        """Return number, y and x (camera px) of each body."""
        columns = [BODY_COLUMNS.index(name) for name in ("number", "y_px", "x_px")]
        rows = self.bodies[:, columns].tolist()
        return [(int(number), y, x) for number, y, x in rows]

    def list_contacts(self) -> list[tuple[float, float, bool]]:
        """Return y and x (camera px) of each touch, and whether it is confirmed."""
        names = ("y_px", "x_px", "is_confirmed")
        columns = [CONTACT_COLUMNS.index(name) for name in names]
        rows = self.contacts[:, columns].tolist()
        return [(y, x, bool(is_confirmed)) for y, x, is_confirmed in rows]


class DishState(PanelState):
    """The stage positions by their number, and the newest events, newest first."""

    message_types = (
        DishCounts,
        DishBodies,
        DishContacts,
        DishTrace,
        FieldImage,
        Event,
    )

    def __init__(self) -> None:
        self.planes: dict[int, DishPlaneState] = {}
        self.events: deque[str] = deque(maxlen=MAX_EVENTS)

    @property
    def has_pictures(self) -> bool:
        """Whether this is a session of neurons in a dish."""
        return any(plane.counts is not None for plane in self.planes.values())

    def update(self, message: PublishedMessage, payload: Array, now_s: float) -> bool:
        """Store what belongs to a dish; return whether to draw again."""
        if isinstance(message, Event):
            return self._add_event(message)
        assert isinstance(
            message, DishCounts | DishBodies | DishContacts | DishTrace | FieldImage
        )
        if message.plane not in self.planes and len(self.planes) >= MAX_PLANES:
            return False
        plane = self.planes.setdefault(message.plane, DishPlaneState())
        match message:
            case DishCounts():
                plane.add_counts(message)
            case DishBodies():
                plane.bodies = payload.reshape(-1, len(BODY_COLUMNS))
            case DishContacts():
                plane.contacts = payload.reshape(-1, len(CONTACT_COLUMNS))
            case DishTrace():
                plane.add_trace(message, payload)
            case FieldImage():
                plane.view, plane.view_step_px = payload, message.downsampling
        return self.has_pictures

    def _add_event(self, event: Event) -> bool:
        if event.name not in EVENT_NAMES:
            return False
        clock = time.strftime("%H:%M:%S", time.localtime(event.t))
        self.events.appendleft(f"{clock}  {event.message}")
        return True
