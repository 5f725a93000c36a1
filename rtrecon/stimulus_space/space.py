"""Stimulus spaces: what one frame of a stimulus is, for any sense.

A frame is uint8 levels on two axes: (y, x) of a picture, (frequency, channel) of a
sound, (whisker, quantity) of touch. A checkpoint carries the space of its encoder;
wire, inversion, quality, display, recording and export take from it what they need.
Nothing else knows what a stimulus is.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.stimulus_space.axis import Axis

MAX_LEVEL = 255
MIDDLE_LEVEL, CONTRAST_LEVELS = 127.0, 60.0  # a level enters as (level - 127) / 60
_PICTURE_LAGS_S = (0.1, 0.2, 0.4, 0.8)
_LAGS_S = (0.1, 0.2, 0.3, 0.4, 0.8)  # of other senses


class StimulusSpace(msgspec.Struct, frozen=True, kw_only=True):
    """The frames of one sense.

    rate_hz: encoder frames per second. quantity, unit: what a level stands for.
    level_limits: the quantity at level 0 and at level 255. cutoff_cycles: of the basis,
    cycles per position of the ordered axes; neurons cannot follow finer structure.
    window_frames, hop_frames: of a live inversion, in encoder frames.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    axes: tuple[Axis, Axis]
    rate_hz: Annotated[float, msgspec.Meta(gt=0)]
    quantity: str
    unit: str = ""
    level_limits: tuple[float, float] = (0.0, 255.0)
    cutoff_cycles: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    window_frames: Annotated[int, msgspec.Meta(ge=6)] = 35
    hop_frames: Annotated[int, msgspec.Meta(ge=1)] = 5

    @property
    def shape(self) -> tuple[int, int]:
        """Size of a frame."""
        return self.axes[0].size, self.axes[1].size

    @property
    def n_values(self) -> int:
        """Number of values in a frame."""
        return self.axes[0].size * self.axes[1].size

    @property
    def is_picture(self) -> bool:
        """Whether frames are pictures: any size of them can be resized to the axes."""
        return all(axis.spacing == "linear" for axis in self.axes)

    @property
    def level_scale(self) -> float:
        """How much of the quantity one level is."""
        low, high = self.level_limits
        return (high - low) / MAX_LEVEL

    @property
    def lags_frames(self) -> tuple[int, ...]:
        """Lags in frames at which live reconstructions are compared."""
        lags_s = _PICTURE_LAGS_S if self.is_picture else _LAGS_S
        lags = (max(1, round(lag_s * self.rate_hz)) for lag_s in lags_s)
        return tuple(dict.fromkeys(lag for lag in lags if lag < self.window_frames))

    def to_levels(self, values: Array) -> Array:
        """Return uint8 levels of values of the quantity; what lies outside is clipped.

        Raises ValueError where a value is not finite.
        """
        if not np.isfinite(values).all():
            raise ValueError(f"a value of the {self.quantity} is not finite")
        low, high = self.level_limits
        levels = (np.asarray(values, np.float64) - low) * (MAX_LEVEL / (high - low))
        return np.rint(np.clip(levels, 0, MAX_LEVEL)).astype(np.uint8)

    def from_levels(self, levels: Array) -> Array:
        """Return the quantity, float32, of levels."""
        values = np.asarray(levels, np.float32) * self.level_scale
        return np.asarray(values + self.level_limits[0], np.float32)

    def limit_smoothing(self, sigma: float) -> tuple[float, float]:
        """Return the s.d. of a smoothing along each axis: 0 along categories."""
        first, second = self.axes
        return sigma * first.is_ordered, sigma * second.is_ordered

    def with_cutoff(self, cutoff_cycles: float) -> StimulusSpace:
        """Return the same space with another cutoff of its basis."""
        return msgspec.structs.replace(self, cutoff_cycles=cutoff_cycles)

    def describe(self) -> str:
        """Return the name with the axes: 'video (36 y x 64 x)'."""
        axes = " x ".join(f"{axis.size} {axis.name}" for axis in self.axes)
        return f"{self.name} ({axes})"

    def to_metadata(self) -> dict[str, Any]:
        """Return the whole description as plain values, for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def read_space(metadata: Any, file: object) -> StimulusSpace:
    """Return the space that `StimulusSpace.to_metadata` described.

    file: where the description is from, for the error. Raises UserError.
    """
    if metadata is None:
        raise UserError(
            f"{file} does not say what its stimulus is; train or record it anew"
        )
    try:
        return msgspec.convert(metadata, StimulusSpace)
    except (msgspec.ValidationError, ValueError) as error:
        raise UserError(
            f"{file} describes its stimulus wrongly: {error}; train or record it anew"
        ) from None
