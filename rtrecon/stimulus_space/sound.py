"""The space of sounds: the energy in 24 bands of frequency, 100 times per second."""

from __future__ import annotations

from rtrecon.stimulus_space.axis import Axis
from rtrecon.stimulus_space.space import StimulusSpace

SAMPLE_RATE_HZ = 20_000  # of sounds that are analysed; others are resampled

# Five octaves; the level is relative to a sine of full scale.
SOUND = StimulusSpace(
    name="sound",
    axes=(
        Axis("frequency", 24, "logarithmic", unit="Hz", limits=(250.0, 8000.0)),
        Axis("channel", 1, "categories", labels=("mono",)),
    ),
    rate_hz=100.0,
    quantity="sound level",
    unit="dB",
    level_limits=(-90.0, 0.0),
    window_frames=100,
    hop_frames=10,
)
