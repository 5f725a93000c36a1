"""Converts what was found in a reduced picture to pixels of the camera's picture."""

from __future__ import annotations

from dataclasses import replace

from rtrecon.core.types import Array
from rtrecon.dish.dish_frame import DishFrame
from rtrecon.dish.events import DishEvent
from rtrecon.dish.image_filters import repeat_blocks


def enlarge_frame(
    frame: DishFrame, reduction: int, shape: tuple[int, int]
) -> DishFrame:
    """Return the frame in px of a picture of this shape, (lines, pixels)."""
    if reduction == 1:
        return frame
    return replace(
        frame,
        bodies=_enlarge_table(frame.bodies, reduction),
        segments=_enlarge_table(frame.segments, reduction),
        contacts=_enlarge_table(frame.contacts, reduction),
        events=tuple(_enlarge_event(event, reduction) for event in frame.events),
        owners=repeat_blocks(frame.owners, reduction, shape),
        is_body=repeat_blocks(frame.is_body, reduction, shape),
        is_claimed=repeat_blocks(frame.is_claimed, reduction, shape),
    )


def _enlarge_table(table: Array, reduction: int) -> Array:
    enlarged = table.copy()
    for axis in ("y", "x"):
        enlarged[axis] = (table[axis] + 0.5) * reduction - 0.5
    return enlarged


def _enlarge_event(event: DishEvent, reduction: int) -> DishEvent:
    y, x = _enlarge(event.y, reduction), _enlarge(event.x, reduction)
    return replace(event, y=y, x=x)


def _enlarge(position: float, reduction: int) -> float:
    """Return the position of the center of a block in pixels."""
    return (position + 0.5) * reduction - 0.5
