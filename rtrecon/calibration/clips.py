"""Divides the stimulus of a running session into clips, and keeps some of them out.

A clip ends at a cut of the movie once it is long enough, and otherwise after ten
seconds. A clip that shows pictures of an earlier one has the same role as that one, so
that no picture is both trained on and judged with. Roles follow from the recorded
stimulus alone: a calibrator that starts again finds the same ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.stimulus_lag.repeats import hash_frames

MIN_CLIP_FRAMES, MAX_CLIP_FRAMES = 150, 300
_MIN_SEGMENT_FRAMES = 60  # a shorter one between two gaps is left out
_PERIOD, _VALIDATION, _JUDGING = 8, 2, 5  # of the clips with new pictures
_MIN_MOVING_SHARE = 0.05  # of the frames of a clip, else the picture stands still
_MIN_SHARED = 0.05  # of a clip's pictures: fewer are, say, the same title
_MAX_CUT_R = 0.5  # of two pictures one after the other; more is no cut
_THINNED_PX = 2  # cuts are looked for in every second pixel


class ClipRole(Enum):
    """What a clip is used for."""

    TRAINING = "training"
    VALIDATION = "validation"  # chooses among encoders and data weights
    JUDGING = "judging"  # measures how good the chosen encoder is
    MIXED = "mixed"  # it shows pictures of several roles; it is left out
    STILL = "still"  # its picture stands still; it is left out


@dataclass(frozen=True)
class StimulusClip:
    """Rows start to stop of the paired record; group: of clips with shared pictures."""

    start: int
    stop: int
    role: ClipRole
    group: int

    def __len__(self) -> int:
        return self.stop - self.start


class ClipDivider:
    """Divides the rows of a record into clips while it grows.

    clips: all that are complete. A clip does not change any more.
    """

    def __init__(self) -> None:
        self.clips: list[StimulusClip] = []
        self._picture_ids = np.empty(0, np.uint64)
        self._is_cut = np.empty(0, bool)
        self._is_gap = np.empty(0, bool)
        self._newest: tuple[int, Array] | None = None  # encoder frame and picture
        self._begin = 0  # row at which the next clip begins
        self._groups: dict[int, int] = {}  # by picture
        self._roles: list[ClipRole] = []  # by group

    @property
    def picture_ids(self) -> Array:
        """Return (T,) uint64 of all rows, equal where the pictures are equal."""
        return self._picture_ids

    @property
    def n_groups(self) -> int:
        """How many clips show pictures that no earlier clip showed."""
        return len(self._roles)

    def add_rows(self, encoder_frames: Array, movie: Array) -> None:
        """Add rows; encoder_frames (k,) increase, movie: uint8 (k, 36, 64)."""
        if not len(encoder_frames):
            return
        cuts, gaps = self._find_cuts(encoder_frames, movie)
        self._picture_ids = np.concatenate([self._picture_ids, hash_frames(movie)])
        self._is_cut = np.concatenate([self._is_cut, cuts])
        self._is_gap = np.concatenate([self._is_gap, gaps])
        self._newest = int(encoder_frames[-1]), movie[-1].copy()
        while (stop := self._find_stop()) is not None:
            self._close_clip(stop)

    def frames_of(self, role: ClipRole) -> int:
        """Return how many rows the clips of a role have."""
        return sum(len(clip) for clip in self.clips if clip.role is role)

    def clips_of(self, role: ClipRole) -> list[StimulusClip]:
        """Return the clips of a role, oldest first."""
        return [clip for clip in self.clips if clip.role is role]

    def _find_cuts(self, encoder_frames: Array, movie: Array) -> tuple[Array, Array]:
        """Return whether a cut, and whether a gap, lies before each new row."""
        frame, picture = self._newest or (int(encoder_frames[0]) - 1, movie[0])
        before = np.concatenate([picture[None], movie[:-1]])
        r = _correlate_pictures(before, movie)
        is_changed = (before != movie).any((1, 2))
        gaps = np.diff(encoder_frames, prepend=frame) != 1
        return is_changed & ~(r > _MAX_CUT_R), gaps

    def _find_stop(self) -> int | None:
        """Return the row at which the present clip ends; None if it still grows."""
        begin, n_rows = self._begin, len(self._picture_ids)
        limit = min(n_rows, begin + MAX_CLIP_FRAMES)
        gaps = np.flatnonzero(self._is_gap[begin + 1 : limit])
        if len(gaps):
            limit = begin + 1 + int(gaps[0])
        cuts = np.flatnonzero(self._is_cut[begin + MIN_CLIP_FRAMES : limit])
        if len(cuts):
            return begin + MIN_CLIP_FRAMES + int(cuts[0])
        is_complete = len(gaps) > 0 or limit == begin + MAX_CLIP_FRAMES
        return limit if is_complete else None

    def _close_clip(self, stop: int) -> None:
        start, self._begin = self._begin, stop
        if stop - start < _MIN_SEGMENT_FRAMES:
            return
        pictures = self._picture_ids[start:stop]
        moving = pictures[1:][pictures[1:] != pictures[:-1]].tolist()
        if len(moving) < _MIN_MOVING_SHARE * (stop - start):
            self.clips.append(StimulusClip(start, stop, ClipRole.STILL, -1))
            return
        role, group = self._choose_role(moving)
        for picture in moving:
            self._groups.setdefault(picture, group)
        self.clips.append(StimulusClip(start, stop, role, group))

    def _choose_role(self, pictures: list[int]) -> tuple[ClipRole, int]:
        """Return the role of a clip with these pictures, and its group."""
        shared = Counter(self._groups[p] for p in pictures if p in self._groups)
        groups = [
            group
            for group, count in shared.most_common()
            if count >= _MIN_SHARED * len(pictures)
        ]
        if not groups:
            index = len(self._roles) % _PERIOD
            held_out = {_VALIDATION: ClipRole.VALIDATION, _JUDGING: ClipRole.JUDGING}
            self._roles.append(held_out.get(index, ClipRole.TRAINING))
            return self._roles[-1], len(self._roles) - 1
        roles = {self._roles[group] for group in groups}
        return (roles.pop() if len(roles) == 1 else ClipRole.MIXED), groups[0]


def _correlate_pictures(before: Array, after: Array) -> Array:
    """Return r over pixels of pictures (k, 36, 64) with others; NaN if one is blank."""
    thinned = (slice(None), slice(None, None, _THINNED_PX))
    a, b = (
        each[thinned][..., ::_THINNED_PX].reshape(len(each), -1).astype(np.float32)
        for each in (before, after)
    )
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1)))
