"""The stimulus spaces that come with rtrecon, by name."""

from __future__ import annotations

from typing import Literal

from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.touch import TOUCH
from rtrecon.stimulus_space.video import VIDEO

SpaceName = Literal["video", "sound", "touch"]
SPACES: dict[SpaceName, StimulusSpace] = {
    "video": VIDEO,
    "sound": SOUND,
    "touch": TOUCH,
}
