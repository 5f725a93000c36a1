"""The space of touch: angle and contact of 24 whiskers, 100 times per second.

Whiskers lie in rows A to D and arcs 1 to 6 of the pad. An angle enters in s.d. about
its mean, a contact as `CONTACT_SD`.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.stimulus_space.axis import Axis
from rtrecon.stimulus_space.space import StimulusSpace

N_ROWS, N_ARCS = 4, 6
WHISKERS = tuple(f"{row}{arc}" for row in "ABCD" for arc in range(1, N_ARCS + 1))
CONTACT_SD = 3.0
_MIN_SD = 1e-6  # degrees; a whisker that never moves has no s.d.

TOUCH = StimulusSpace(
    name="touch",
    axes=(
        Axis("whisker", len(WHISKERS), "categories", labels=WHISKERS),
        Axis("quantity", 2, "categories", labels=("angle", "contact")),
    ),
    rate_hz=100.0,
    quantity="deflection",
    unit="s.d.",
    level_limits=(-4.0, 4.0),
    window_frames=100,
    hop_frames=10,
)


def compute_levels(angle_deg: Array, contact: Array) -> Array:
    """Return uint8 levels (T, 24, 2) of angles (T, 24) and contacts (T, 24), 0 or 1."""
    angle = np.asarray(angle_deg, np.float64)
    sd = angle.std(0)
    scored = (angle - angle.mean(0)) / np.where(sd > _MIN_SD, sd, 1.0)
    touched = CONTACT_SD * np.asarray(contact, np.float64)
    return TOUCH.to_levels(np.stack([scored, touched], -1))
