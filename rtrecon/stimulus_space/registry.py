"""The stimulus spaces that come with rtrecon, by name."""

from __future__ import annotations

from typing import Literal

from rtrecon.core.errors import UserError
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.touch import TOUCH
from rtrecon.stimulus_space.video import VIDEO, make_video_space

SpaceName = Literal["video", "sound", "touch"]
SPACES: dict[SpaceName, StimulusSpace] = {
    "video": VIDEO,
    "sound": SOUND,
    "touch": TOUCH,
}


def find_space(
    name: SpaceName, picture_shape: tuple[int, int] | None, rate_hz: float
) -> StimulusSpace:
    """Return the space that the settings describe, without an encoder.

    picture_shape: height and width of movies, which have the rate of the encoder
    frames; None = 36 x 64. Raises UserError for a size of another sense.
    """
    if name == VIDEO.name:
        return make_video_space(picture_shape or VIDEO.shape, rate_hz)
    if picture_shape is not None:
        raise UserError(
            "encoder.stimulus_size is for movies; leave it out, as encoder.stimulus = "
            f"'{name}'"
        )
    return SPACES[name]
