"""How many frames may be queued in memory, and how many make a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtrecon.config import Settings
from rtrecon.protocol import messages

MAX_PLANE_BYTES = 256 * 2**20  # queued frames of one plane
MAX_SESSION_BYTES = 2 * 2**30  # queued frames of all planes
MIN_QUEUED_FRAMES = 8  # of each plane, however large they are
# Frames that arrive while the reference is made need the rest of the queue.
_MAX_REFERENCE_FRACTION = 0.75


@dataclass(frozen=True)
class QueueLimits:
    """Numbers of frames of one plane.

    max_queued: frames that may be queued while there is no reference. n_reference:
    frames from which the reference is made. n_wanted: what the settings ask for.
    """

    max_queued: int
    n_reference: int
    n_wanted: int

    @classmethod
    def for_session(
        cls, start: messages.SessionStart, n_images: int, settings: Settings
    ) -> QueueLimits:
        """Return the limits for a session; n_images: channels used of each frame."""
        frame_bytes = n_images * math.prod(start.shape) * np.dtype(start.dtype).itemsize
        plane_bytes = min(MAX_PLANE_BYTES, MAX_SESSION_BYTES // len(start.planes))
        max_queued = max(MIN_QUEUED_FRAMES, plane_bytes // frame_bytes)
        n_wanted = settings.registration.template_frames
        n_fitting = int(max_queued * _MAX_REFERENCE_FRACTION)
        return cls(max_queued, min(n_wanted, n_fitting), n_wanted)

    def describe_shortage(self, start: messages.SessionStart) -> str | None:
        """Return a sentence if the reference is made from fewer frames than wanted."""
        if self.n_reference == self.n_wanted:
            return None
        lines, pixels = start.shape
        return (
            f"the reference is made from {self.n_reference} frames, not from "
            f"{self.n_wanted}: no more of {lines} x {pixels} fit into the memory for "
            "queued frames"
        )
