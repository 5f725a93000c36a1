"""What the screen shows next: gray, then a clip, gray, the next clip, and at last gray.

The time decides which picture of a clip is due, not the number of refreshes: a screen
frame that is dropped delays no later picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtrecon.core.types import Array
from rtrecon.presenter.clips import GRAY_NAME, ScreenClip
from rtrecon.presenter.playlist import Playlist
from rtrecon.stimulus_space.video import VIDEO

# A refresh may come a little before its picture is due: by less than this share of a
# picture it is taken as due. At 60 Hz, refreshes lie half a picture apart.
_EARLY_SHARE = 0.25


@dataclass(frozen=True)
class ScreenPicture:
    """What the screen shows: picture `index` of a clip, and the photodiode patch."""

    clip: ScreenClip
    index: int
    is_patch_bright: bool

    @property
    def picture(self) -> Array:
        """Return uint8 (height, width) for the screen."""
        return self.clip.pictures[self.index]

    @property
    def encoder_picture(self) -> Array:
        """Return uint8 (36, 64)."""
        return self.clip.encoder_pictures[self.index]


class Presentation:
    """Chooses the picture of each flip; the program reports when it was shown.

    gray: shown before, between and after clips. n_clips: that have begun. n_skipped:
    pictures that were never shown, because screen frames were dropped.
    """

    def __init__(
        self, clips: dict[str, ScreenClip], playlist: Playlist, gray: ScreenClip
    ) -> None:
        self.n_clips = self.n_skipped = 0
        self._clips, self._playlist, self._gray = clips, playlist, gray
        self._segment = gray
        self._start_s: float | None = None  # when the segment's first picture appeared
        self._newest: tuple[ScreenClip, int] | None = None  # on the screen
        self._is_patch_bright = False

    def choose_picture(self, flip_s: float) -> ScreenPicture | None:
        """Return the picture for a flip at this time; None after the last one."""
        index = self._find_index(flip_s)
        if index >= len(self._segment):
            if not self._begin_segment():
                return None
            index = 0
        is_new = self._newest != (self._segment, index) or self._start_s is None
        return ScreenPicture(self._segment, index, self._is_patch_bright ^ is_new)

    def record_flip(self, shown: ScreenPicture, flip_s: float) -> bool:
        """Record when a chosen picture appeared; return whether it was a new one."""
        if self._start_s is None:
            self._start_s = flip_s
            self.n_clips += shown.clip.name != GRAY_NAME
        elif self._newest == (shown.clip, shown.index):
            return False
        else:
            assert self._newest is not None
            self.n_skipped += shown.index - self._newest[1] - 1
        self._newest = shown.clip, shown.index
        self._is_patch_bright = shown.is_patch_bright
        return True

    def _find_index(self, flip_s: float) -> int:
        if self._start_s is None:
            return 0
        return math.floor((flip_s - self._start_s) * VIDEO.rate_hz + _EARLY_SHARE)

    def _begin_segment(self) -> bool:
        """Go on with the next clip, or with gray after a clip; False at the end."""
        assert self._newest is not None
        self.n_skipped += len(self._segment) - 1 - self._newest[1]
        self._start_s = None
        if self._segment is not self._gray:
            self._segment = self._gray
            return True
        name = self._playlist.take_next()
        if name is None:
            return False
        self._segment = self._clips[name]
        return True
