"""Follows bodies from frame to frame, so that each keeps its number."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from rtrecon.core.types import Array

_FORGET_FRAMES = 4  # frames without a body, after which its number is not given again
_MAX_SPEED_PX = 3.0  # of the prediction, per frame
_AREA_PRICE_PX = 6.0  # price of an area that differs by a factor of e
_IMPOSSIBLE = 1e6
TRACK_DTYPE = np.dtype(
    [
        ("number", np.int64),
        ("y", float),
        ("x", float),
        ("velocity_y", float),
        ("velocity_x", float),
        ("area", float),
        ("brightness", float),
        ("depth", float),
        ("first_frame", np.int64),
        ("last_frame", np.int64),
        ("n_seen", np.int64),
    ]
)


class BodyTracker:
    """Assigns numbers, from 1, to the bodies of each frame.

    gate_px: how far a body may lie from its prediction after one frame.
    """

    def __init__(self, gate_px: float) -> None:
        self._gate_px = gate_px
        self._next_number = 1
        self.tracks = np.zeros(0, TRACK_DTYPE)
        self.dropped = np.zeros(0, TRACK_DTYPE)  # those forgotten in the newest frame

    def assign_numbers(self, frame: int, found: Array) -> Array:
        """Return (n,) int64 numbers of the bodies of a frame.

        found: structured (n,) with the fields y, x, area, brightness, depth.
        """
        is_old = frame - self.tracks["last_frame"] > _FORGET_FRAMES
        self.dropped, self.tracks = self.tracks[is_old], self.tracks[~is_old]
        numbers = np.zeros(len(found), np.int64)
        tracks, bodies = self._match(frame, found)
        numbers[bodies] = self.tracks["number"][tracks]
        self._update_tracks(frame, tracks, found[bodies])
        is_new = numbers == 0
        numbers[is_new] = self._add_tracks(frame, found[is_new])
        return numbers

    def move_all(self, shift_px: Array) -> None:
        """Move all bodies by (y, x): the picture has jumped."""
        self.tracks["y"] += shift_px[0]
        self.tracks["x"] += shift_px[1]

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        return {"tracks": self.tracks, "next_number": np.array(self._next_number)}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        self.tracks = state["tracks"].astype(TRACK_DTYPE)
        self._next_number = int(state["next_number"])

    def _match(self, frame: int, found: Array) -> tuple[Array, Array]:
        """Return indices of tracks and of the bodies that continue them."""
        if not len(self.tracks) or not len(found):
            return np.zeros(0, int), np.zeros(0, int)
        tracks = self.tracks
        n_frames = (frame - tracks["last_frame"])[:, None]
        y = tracks["y"][:, None] + _limit(tracks["velocity_y"])[:, None] * n_frames
        x = tracks["x"][:, None] + _limit(tracks["velocity_x"])[:, None] * n_frames
        distance = np.hypot(y - found["y"], x - found["x"])
        growth = np.abs(np.log(tracks["area"][:, None] / found["area"]))
        price = distance + _AREA_PRICE_PX * growth
        price[price > self._gate_px * np.sqrt(n_frames)] = _IMPOSSIBLE
        rows, cols = linear_sum_assignment(price)
        is_possible = price[rows, cols] < _IMPOSSIBLE
        return rows[is_possible], cols[is_possible]

    def _update_tracks(self, frame: int, indices: Array, found: Array) -> None:
        tracks = self.tracks[indices]
        n_frames = np.maximum(frame - tracks["last_frame"], 1)
        for axis in ("y", "x"):
            step = (found[axis] - tracks[axis]) / n_frames
            tracks[f"velocity_{axis}"] *= 0.6
            tracks[f"velocity_{axis}"] += 0.4 * step
            tracks[axis] = found[axis]
        for name in ("area", "brightness", "depth"):
            tracks[name] = 0.7 * tracks[name] + 0.3 * found[name]
        tracks["last_frame"] = frame
        tracks["n_seen"] += 1
        self.tracks[indices] = tracks

    def _add_tracks(self, frame: int, found: Array) -> Array:
        new = np.zeros(len(found), TRACK_DTYPE)
        for name in ("y", "x", "area", "brightness", "depth"):
            new[name] = found[name]
        new["number"] = self._next_number + np.arange(len(found))
        new["first_frame"] = new["last_frame"] = frame
        new["n_seen"] = 1
        self._next_number += len(found)
        self.tracks = np.concatenate([self.tracks, new])
        return new["number"]


def _limit(velocity: Array) -> Array:
    return velocity.clip(-_MAX_SPEED_PX, _MAX_SPEED_PX)
