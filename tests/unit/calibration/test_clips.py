"""How a stimulus is divided into clips, and which of them are kept out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rtrecon.calibration.clips import (
    MAX_CLIP_FRAMES,
    MIN_CLIP_FRAMES,
    ClipDivider,
    ClipRole,
)

SHAPE = (36, 64)


def make_clip(seed: int, n_frames: int = MIN_CLIP_FRAMES) -> np.ndarray:
    """A picture that moves by one pixel per frame."""
    picture = np.random.default_rng(seed).normal(size=(36, 400))
    smooth = gaussian_filter(picture, (0, 4), mode="wrap")
    levels = (128 + 60 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    return np.stack([np.roll(levels, -i, 1)[:, :64] for i in range(n_frames)])


def divide(movie: np.ndarray, block: int = 10_000, first: int = 0) -> ClipDivider:
    divider = ClipDivider()
    frames = np.arange(first, first + len(movie))
    for start in range(0, len(movie), block):
        rows = slice(start, start + block)
        divider.add_rows(frames[rows], movie[rows])
    return divider


def test_clips_end_at_the_cuts_of_the_movie():
    lengths = [170, 155, 200, 160]
    movie = np.concatenate([make_clip(i, n) for i, n in enumerate(lengths)])
    clips = divide(movie).clips
    assert [clip.start for clip in clips] == [0, 170, 325]  # the last one still grows
    assert [len(clip) for clip in clips] == lengths[:3]


def test_a_movie_without_cuts_is_divided_into_clips_of_ten_seconds():
    clips = divide(make_clip(0, 700)).clips
    assert [len(clip) for clip in clips] == [MAX_CLIP_FRAMES] * 2


def test_clips_are_the_same_however_the_record_grows():
    movie = np.concatenate([make_clip(i, 150 + 3 * i) for i in range(9)])
    at_once = divide(movie)
    assert divide(movie, block=37).clips == at_once.clips
    assert divide(movie, block=1).clips == at_once.clips


def test_a_gap_in_the_record_ends_a_clip():
    divider = ClipDivider()
    movie = make_clip(0, 240)
    divider.add_rows(np.r_[0:100, 140:280], movie)
    assert [(clip.start, clip.stop) for clip in divider.clips] == [(0, 100)]


def test_no_picture_is_in_clips_of_two_roles():
    rng = np.random.default_rng(0)
    order = rng.integers(0, 20, 40)  # most clips are shown again
    movie = np.concatenate([make_clip(i) for i in order])
    divider = divide(movie)
    pictures = {
        role: {
            picture
            for clip in divider.clips_of(role)
            for picture in divider.picture_ids[clip.start : clip.stop].tolist()
        }
        for role in (ClipRole.TRAINING, ClipRole.VALIDATION, ClipRole.JUDGING)
    }
    assert all(pictures.values())
    total = sum(map(len, pictures.values()))
    assert len(set.union(*pictures.values())) == total
    assert divider.n_groups == len(set(order[:-1].tolist()))


def test_a_clip_with_pictures_of_two_roles_is_left_out():
    movie = [make_clip(i) for i in range(4)]  # the third one validates
    both = np.concatenate([movie[0][:75], movie[2][:75]])
    divider = divide(np.concatenate([*movie, both, make_clip(9)]))
    roles = [clip.role for clip in divider.clips]
    assert roles[2] is ClipRole.VALIDATION
    assert roles[4] is ClipRole.MIXED


@pytest.mark.parametrize("level", [0, 128])
def test_a_picture_that_stands_still_is_no_clip(level):
    divider = divide(np.full((650, *SHAPE), level, np.uint8))
    assert {clip.role for clip in divider.clips} == {ClipRole.STILL}
    assert divider.frames_of(ClipRole.STILL) == 2 * MAX_CLIP_FRAMES
    assert divider.n_groups == 0


def test_a_single_repeated_clip_is_one_group_of_one_role():
    divider = divide(np.concatenate([make_clip(0)] * 12))
    assert divider.n_groups == 1
    assert {clip.role for clip in divider.clips} == {ClipRole.TRAINING}
