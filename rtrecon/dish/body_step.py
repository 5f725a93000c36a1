"""Bodies of one picture, with what is known of earlier ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import mean

from rtrecon.core.types import Array
from rtrecon.dish.body_finder import FoundBodies, find_bodies
from rtrecon.dish.body_tracker import BodyTracker
from rtrecon.dish.jumps import find_jump
from rtrecon.dish.pixel_scale import PixelScale

_GATE_DIAMETERS, _STORED_DIAMETERS = 1.2, 0.8
_FIRST_CHECKED_FRAME = 3
# A new body: bright and large enough, and hardly any neurite there before; or as bright
# and as round as the others.
_MIN_BRIGHTNESS, _MIN_AREA, _MAX_TRACED = 0.6, 0.5, 0.12
_SURE_BRIGHTNESS, _SURE_DEPTH = 0.8, 0.9
_FOUND_DTYPE = np.dtype(
    [("number", np.int64)]
    + [(name, float) for name in ("y", "x", "area", "brightness", "depth")]
)
_MIN_SEEN = 3  # frames, before a body that is missing is drawn where it was
_MAX_LOST_SHARE = 0.5  # of the bodies, before a jump is looked for


@dataclass(frozen=True)
class NumberedBodies:
    """The bodies of one picture with their numbers.

    labels: int32 (lines, pixels), the number of the body, or 0. table: structured (n,)
    with number, y, x, area (px), brightness, depth. jump_px: (y, x) by which all
    bodies have jumped, or None.
    """

    labels: Array
    table: Array
    jump_px: Array | None

    @property
    def numbers(self) -> Array:
        """Return the (n,) numbers."""
        return np.asarray(self.table["number"])

    @property
    def brightness(self) -> float:
        """Return the brightness of the median body in sigmas; 0 without bodies."""
        return float(np.median(self.table["brightness"])) if len(self.table) else 0.0


class BodyStep:
    """Finds the bodies of each picture and gives them numbers."""

    def __init__(self, scale: PixelScale, sensitivity: float) -> None:
        self._scale, self._sensitivity = scale, sensitivity
        self.tracker = BodyTracker(_GATE_DIAMETERS * scale.body_px)

    def list_confirmed(self) -> Array:
        """Return the numbers of bodies that were seen at least twice."""
        tracks = self.tracker.tracks
        return np.asarray(tracks["number"][tracks["n_seen"] >= 2])

    def find(self, frame: int, flat: Array, was_traced: Array) -> NumberedBodies:
        """Return the bodies of a flattened picture.

        was_traced: bool (lines, pixels), where neurites were lately: a crossing of
        neurites looks like a body, so none may be born there.
        """
        found = find_bodies(flat, self._scale.min_radius_px, self._sensitivity)
        jump_px = self._follow_jump(frame, found)
        if frame >= _FIRST_CHECKED_FRAME and jump_px is None:
            found = found.select(self._are_credible(frame, found, was_traced))
        table = _make_table(found)
        numbers = self.tracker.assign_numbers(frame, table)
        table["number"] = numbers
        lookup = np.concatenate([[0], numbers]).astype(np.int32)
        labels = lookup[found.labels]
        self._draw_missing(frame, labels)
        return NumberedBodies(labels, table, jump_px)

    def _draw_missing(self, frame: int, labels: Array) -> None:
        """Draw bodies that this picture misses as discs where they were last."""
        tracks = self.tracker.tracks
        is_missing = (tracks["last_frame"] < frame) & (tracks["n_seen"] >= _MIN_SEEN)
        for track in tracks[is_missing]:
            radius_px = np.sqrt(track["area"] / np.pi)
            top, left = (max(0, int(track[axis] - radius_px)) for axis in ("y", "x"))
            bottom, right = (int(track[axis] + radius_px) + 2 for axis in ("y", "x"))
            window = labels[top:bottom, left:right]
            rows, cols = np.ogrid[: window.shape[0], : window.shape[1]]
            away = np.hypot(rows + top - track["y"], cols + left - track["x"])
            window[(away <= radius_px) & (window == 0)] = track["number"]

    def _follow_jump(self, frame: int, found: FoundBodies) -> Array | None:
        """Return by how much all bodies have jumped; move the tracks along."""
        tracks = self.tracker.tracks
        stored = tracks[(tracks["n_seen"] >= 2) & (tracks["last_frame"] >= frame - 2)]
        points = np.column_stack([stored["y"], stored["x"]])
        if not len(points) or not len(found):
            return None
        away = np.hypot(*(points[:, None] - found.centers[None]).transpose(2, 0, 1))
        gate_px = _GATE_DIAMETERS * self._scale.body_px
        if (away.min(1) < gate_px).mean() > _MAX_LOST_SHARE:
            return None
        jump_px = find_jump(points, found.centers, 0.5 * self._scale.body_px)
        if jump_px is not None:
            self.tracker.move_all(jump_px)
        return jump_px

    def _are_credible(self, frame: int, found: FoundBodies, was_traced: Array) -> Array:
        tracks = self.tracker.tracks
        stored = tracks[tracks["n_seen"] >= 2]
        if not len(stored) or not len(found):
            return np.ones(len(found), bool)
        away = np.hypot(
            stored["y"][:, None] - found.centers[:, 0],
            stored["x"][:, None] - found.centers[:, 1],
        )
        is_stored = away.min(0) < _STORED_DIAMETERS * self._scale.body_px
        brightness, area, depth = (
            np.median(stored[name]) for name in ("brightness", "area", "depth")
        )
        traced = np.asarray(
            mean(was_traced, found.labels, np.arange(1, len(found) + 1))
        ).reshape(-1)
        is_new = (found.brightness > _MIN_BRIGHTNESS * brightness) & (
            found.areas > _MIN_AREA * area
        )
        is_sure = (found.brightness > _SURE_BRIGHTNESS * brightness) & (
            found.depths > _SURE_DEPTH * depth
        )
        return np.asarray(is_stored | (is_new & (traced < _MAX_TRACED)) | is_sure)


def _make_table(found: FoundBodies) -> Array:
    table = np.zeros(len(found), _FOUND_DTYPE)
    table["y"], table["x"] = found.centers.T
    table["area"], table["brightness"] = found.areas, found.brightness
    table["depth"] = found.depths
    return table
