"""The space of movies: 36 x 64 gray pixels, as in the Sensorium 2023 recordings."""

from __future__ import annotations

from rtrecon.stimulus_space.axis import Axis
from rtrecon.stimulus_space.space import StimulusSpace

# Neurons of mouse visual cortex respond to almost nothing above a quarter cycle per px.
VIDEO = StimulusSpace(
    name="video",
    axes=(
        Axis("y", 36, unit="px", limits=(0.0, 35.0)),
        Axis("x", 64, unit="px", limits=(0.0, 63.0)),
    ),
    rate_hz=30.0,
    quantity="gray level",
    cutoff_cycles=0.25,
)
IMAGE_SHAPE = VIDEO.shape  # height and width of a frame, px
