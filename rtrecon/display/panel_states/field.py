"""The newest registered image of each plane, and the motion of the brain."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display.state import PanelState
from rtrecon.protocol.messages import FieldImage, Health, PublishedMessage

MAX_POINTS = 4000  # bounds the motion history, whatever the rate of messages
MAX_PLANES = 64


class Motion(NamedTuple):
    """Where a frame lay relative to the template, in camera pixels.

    z: how much deeper than the reference, in um or planes; NaN if not measured.
    """

    t_s: float
    y_px: float
    x_px: float
    z: float


class PlaneState:
    """One plane's newest registered image, and its motion so far."""

    def __init__(self) -> None:
        self.field: FieldImage | None = None
        self.image: Array = np.zeros((1, 1), np.uint8)
        self.motion: deque[Motion] = deque(maxlen=MAX_POINTS)

    def update(self, field: FieldImage, image: Array, now_s: float) -> None:
        """Store the newest image, uint8 (lines, pixels), and its shift."""
        self.field, self.image = field, image
        z = math.nan if field.z_offset is None else field.z_offset
        self.motion.append(Motion(now_s, *field.shift_px, z))


class FieldState(PanelState):
    """The planes of the session by their number.

    frame_interval_s: between two frames; 0 while it is unknown.
    """

    message_types = (FieldImage, Health)

    def __init__(self) -> None:
        self.planes: dict[int, PlaneState] = {}
        self.frame_interval_s = 0.0

    def update(self, message: PublishedMessage, payload: Array, now_s: float) -> bool:
        """Store the newest image of one plane, or the interval of the frames."""
        if isinstance(message, Health):
            self.frame_interval_s = message.frame_interval_s or self.frame_interval_s
            return False
        assert isinstance(message, FieldImage)
        if message.plane not in self.planes and len(self.planes) >= MAX_PLANES:
            return False
        plane = self.planes.setdefault(message.plane, PlaneState())
        plane.update(message, payload, now_s)
        return True
