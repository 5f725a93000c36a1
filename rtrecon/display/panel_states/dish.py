"""Neurons in a dish: the newest picture of each stage position, counts, and events."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display.state import PanelState
from rtrecon.protocol.dish_messages import BODY_COLUMNS, CONTACT_COLUMNS
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
    ("contact", "contact_lost", "retraction", "new_body", "death", "out_of_focus")
)


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
                plane.owners, plane.owners_step_px = payload, message.downsampling
            case FieldImage():
                plane.view, plane.view_step_px = payload, message.downsampling
        return self.has_pictures

    def _add_event(self, event: Event) -> bool:
        if event.name not in EVENT_NAMES:
            return False
        clock = time.strftime("%H:%M:%S", time.localtime(event.t))
        self.events.appendleft(f"{clock}  {event.message}")
        return True
