"""What is measured of a mouse beside its activity, in the one order kept everywhere."""

from __future__ import annotations

from typing import Literal, get_args

# Of the pupil, its size and where its centre lies in the camera's picture.
Measured = Literal["pupil_dilation", "running_speed", "pupil_x", "pupil_y"]
BEHAVIOR: tuple[Measured, ...] = get_args(Measured)

# At one moment, a value each in the order of `BEHAVIOR`; None where it is not known.
Behaved = tuple[float | None, float | None, float | None, float | None]
UNKNOWN: Behaved = (None, None, None, None)
