"""The space of movies: 36 x 64 gray pixels, as in the Sensorium 2023 recordings."""

from __future__ import annotations

from math import sqrt

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
MIN_SIDE_PX, MAX_SIDE_PX = 8, 256


def make_video_space(shape: tuple[int, int], rate_hz: float) -> StimulusSpace:
    """Return the space of movies of another size (height, width) or rate.

    Window and hop of a live inversion last as long as those of 36 x 64 px at 30 Hz; the
    window is a whole number of hops. ValueError if a side is too short or too long.
    """
    if shape == VIDEO.shape and rate_hz == VIDEO.rate_hz:
        return VIDEO
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in shape):
        raise ValueError(
            f"a movie of {describe_size(shape)} px is not possible; give {MIN_SIDE_PX} "
            f"to {MAX_SIDE_PX} px for each side"
        )
    hop = max(1, round(VIDEO.hop_frames * rate_hz / VIDEO.rate_hz))
    window = hop * (VIDEO.window_frames // VIDEO.hop_frames)
    axes = [
        Axis(axis.name, side, unit=axis.unit, limits=(0.0, side - 1.0))
        for axis, side in zip(VIDEO.axes, shape, strict=True)
    ]
    return StimulusSpace(
        name=VIDEO.name,
        axes=(axes[0], axes[1]),
        rate_hz=rate_hz,
        quantity=VIDEO.quantity,
        cutoff_cycles=VIDEO.cutoff_cycles,
        window_frames=window,
        hop_frames=hop,
    )


def describe_size(shape: tuple[int, int]) -> str:
    """Return a size as text: '36 x 64'."""
    return f"{shape[0]} x {shape[1]}"


def compute_magnification(shape: tuple[int, int]) -> float:
    """Return how much longer a length on the screen is in px than at 36 x 64 px."""
    return sqrt(shape[0] * shape[1] / (IMAGE_SHAPE[0] * IMAGE_SHAPE[1]))
