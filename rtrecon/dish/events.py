"""What happens in a dish: the kinds of events, and one event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DishEventKind(StrEnum):
    """The kinds of events, as rules and outputs name them."""

    CONTACT = "contact"
    CONTACT_LOST = "contact_lost"
    RETRACTION = "retraction"
    NEW_BODY = "new_body"
    DEATH = "death"
    OUT_OF_FOCUS = "out_of_focus"


@dataclass(frozen=True)
class DishEvent:
    """One event. frame: when it is reported. start_frame: when it began.

    y, x: where, in px of the registered picture; NaN if it has no position. first,
    second: numbers of the neurons; 0 where there is none.
    """

    kind: DishEventKind
    frame: int
    start_frame: int
    y: float
    x: float
    first: int = 0
    second: int = 0

    def describe(self) -> str:
        """Return the event in a few words for the user."""
        if self.kind is DishEventKind.CONTACT:
            return f"neurons {self.first} and {self.second} touch"
        if self.kind is DishEventKind.CONTACT_LOST:
            return f"neurons {self.first} and {self.second} no longer touch"
        if self.kind is DishEventKind.RETRACTION:
            return f"neuron {self.first} retracts neurites"
        if self.kind is DishEventKind.NEW_BODY:
            return f"body {self.first} appears"
        if self.kind is DishEventKind.DEATH:
            return f"body {self.first} disappears"
        return "the picture is out of focus"
