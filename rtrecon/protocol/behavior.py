"""The behaviour variables of the mouse, in the order used in the whole project."""

from __future__ import annotations

from typing import Literal, get_args

# Pupil position is that of the pupil's centre in the image of the eye camera.
BehaviorName = Literal["pupil_dilation", "running_speed", "pupil_x", "pupil_y"]
BEHAVIOR: tuple[BehaviorName, ...] = get_args(BehaviorName)

# One sample: a value for each name in `BEHAVIOR`; None where it was not measured.
BehaviorValues = tuple[float | None, float | None, float | None, float | None]
NO_BEHAVIOR: BehaviorValues = (None, None, None, None)
