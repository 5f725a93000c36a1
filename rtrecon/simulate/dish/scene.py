"""What is simulated: the culture, the microscope, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Defect(StrEnum):
    """What is wrong with a frame of the simulated film."""

    NONE = ""
    OUT_OF_FOCUS = "out of focus"
    SHUTTER_CLOSED = "shutter closed"
    SATURATED = "saturated"


@dataclass(frozen=True)
class DishScene:
    """A culture and how it is filmed.

    side_px: of the square field. n_neurons: labelled ones. brightness: 1 is a usual
    film; 0.35 is dim, 2.5 is bright. growth_px: mean growth of a tip per time step.
    steps_per_frame: time steps between two frames. n_deaths: neurons that die.
    n_unlabelled: cells without label, which shade the background. debris_per_px2:
    bright dots that float. drift_px: standard deviation of the stage per step.
    n_bad_frames: frames with a defect. um_per_px, interval_s: what the file would tell.
    """

    seed: int = 0
    side_px: int = 512
    n_neurons: int = 14
    n_frames: int = 60
    brightness: float = 1.0
    growth_px: float = 4.0
    steps_per_frame: int = 1
    n_deaths: int = 1
    n_unlabelled: int = 25
    debris_per_px2: float = 1 / 9000
    drift_px: float = 0.5
    n_bad_frames: int = 2
    um_per_px: float = 0.8
    interval_s: float = 600.0
