"""Follows touches in time: provisional ones, confirmed ones, and lost ones."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from rtrecon.core.types import Array
from rtrecon.dish.events import DishEvent, DishEventKind

_REACH_PX = 20.0  # a touch may move so far between frames
_MAX_SLIDE_PX, _FAR_PRICE = 60.0, 1e3
_IMPOSSIBLE = 1e6
TRACKED_CONTACT_DTYPE = np.dtype(
    [
        ("id", np.int64),
        ("y", float),
        ("x", float),
        ("first", np.int64),
        ("second", np.int64),
        ("is_on_body", bool),
        ("is_confirmed", bool),
        ("first_frame", np.int64),
        ("last_frame", np.int64),
        ("n_seen", np.int64),
    ]
)


class ContactTracker:
    """Confirms a touch after some sightings, and ends it after frames without it."""

    def __init__(self, min_seen: int, max_missed: int) -> None:
        self._min_seen, self._max_missed = min_seen, max_missed
        self._next_id = 1
        self.contacts = np.zeros(0, TRACKED_CONTACT_DTYPE)

    def update(self, frame: int, found: Array) -> list[DishEvent]:
        """Take the touches of a frame, of CONTACT_DTYPE; return what is new."""
        known, new = self._match(found)
        contacts = self.contacts
        for name in ("y", "x", "is_on_body"):
            contacts[name][known] = found[name][new]
        contacts["last_frame"][known] = frame
        contacts["n_seen"][known] += 1
        self._add(frame, np.delete(found, new))
        return [*self._confirm(frame), *self._drop(frame)]

    def move_all(self, shift_px: Array) -> None:
        """Move all touches by (y, x): the picture has jumped."""
        self.contacts["y"] += shift_px[0]
        self.contacts["x"] += shift_px[1]

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        return {"contacts": self.contacts, "next_id": np.array(self._next_id)}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        self.contacts = state["contacts"].astype(TRACKED_CONTACT_DTYPE)
        self._next_id = int(state["next_id"])

    def _match(self, found: Array) -> tuple[Array, Array]:
        """Return indices of stored touches and of those that continue them."""
        stored = self.contacts
        if not len(stored) or not len(found):
            return np.zeros(0, int), np.zeros(0, int)
        is_pair = (stored["first"][:, None] == found["first"]) & (
            stored["second"][:, None] == found["second"]
        )
        distance = np.hypot(
            stored["y"][:, None] - found["y"], stored["x"][:, None] - found["x"]
        )
        # A touch that slides along a neurite is the same one, if the pair has no other.
        price = np.where(distance < _REACH_PX, distance, _FAR_PRICE + distance)
        price[~is_pair | (distance > _MAX_SLIDE_PX)] = _IMPOSSIBLE
        rows, cols = linear_sum_assignment(price)
        is_possible = price[rows, cols] < _IMPOSSIBLE
        return rows[is_possible], cols[is_possible]

    def _add(self, frame: int, found: Array) -> None:
        new = np.zeros(len(found), TRACKED_CONTACT_DTYPE)
        for name in ("y", "x", "first", "second", "is_on_body"):
            new[name] = found[name]
        new["id"] = self._next_id + np.arange(len(new))
        new["first_frame"] = new["last_frame"] = frame
        new["n_seen"] = 1
        self._next_id += len(new)
        self.contacts = np.concatenate([self.contacts, new])

    def _confirm(self, frame: int) -> list[DishEvent]:
        is_due = ~self.contacts["is_confirmed"]
        is_due &= self.contacts["n_seen"] >= self._min_seen
        is_due &= self.contacts["last_frame"] == frame
        self.contacts["is_confirmed"][is_due] = True
        return [
            _make_event(DishEventKind.CONTACT, frame, row, "first_frame")
            for row in self.contacts[is_due]
        ]

    def _drop(self, frame: int) -> list[DishEvent]:
        missed = frame - self.contacts["last_frame"]
        limit = np.where(self.contacts["is_confirmed"], self._max_missed, 2)
        return self._end(frame, missed >= limit)

    def _end(self, frame: int, is_over: Array) -> list[DishEvent]:
        over = self.contacts[is_over]
        self.contacts = self.contacts[~is_over]
        return [
            _make_event(DishEventKind.CONTACT_LOST, frame, row, "last_frame")
            for row in over
            if row["is_confirmed"]
        ]


def _make_event(kind: DishEventKind, frame: int, row: Array, start: str) -> DishEvent:
    return DishEvent(
        kind,
        frame,
        int(row[start]),
        float(row["y"]),
        float(row["x"]),
        int(row["first"]),
        int(row["second"]),
    )
