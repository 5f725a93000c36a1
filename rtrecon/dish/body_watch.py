"""Reports bodies that appear and bodies that disappear."""

from __future__ import annotations

from rtrecon.core.types import Array
from rtrecon.dish.body_tracker import BodyTracker
from rtrecon.dish.events import DishEvent, DishEventKind

_FIRST_FRAMES = 2  # bodies that are there at the beginning are not new
# Sightings: dim clutter looks like a body for a frame or two.
_MIN_SEEN, _MIN_SEEN_BEFORE_DEATH = 3, 6


def watch_bodies(
    tracker: BodyTracker, frame: int, shape: tuple[int, ...], margin_px: float
) -> list[DishEvent]:
    """Return new bodies, seen three times, and bodies that are gone.

    A body that was last seen within margin_px of the border has left the field: it did
    not die, and no event says so.
    """
    tracks = tracker.tracks
    is_new = (tracks["n_seen"] == _MIN_SEEN) & (tracks["last_frame"] == frame)
    is_new &= tracks["first_frame"] >= _FIRST_FRAMES
    gone = tracker.dropped
    is_gone = gone["n_seen"] >= _MIN_SEEN_BEFORE_DEATH
    for axis, side in (("y", shape[0]), ("x", shape[1])):
        is_gone &= (gone[axis] > margin_px) & (gone[axis] < side - margin_px)
    return [
        *_make_events(DishEventKind.NEW_BODY, frame, tracks[is_new], "first_frame"),
        *_make_events(DishEventKind.DEATH, frame, gone[is_gone], "last_frame"),
    ]


def _make_events(
    kind: DishEventKind, frame: int, tracks: Array, start: str
) -> list[DishEvent]:
    return [
        DishEvent(
            kind,
            frame,
            int(track[start]),
            float(track["y"]),
            float(track["x"]),
            int(track["number"]),
        )
        for track in tracks
    ]
