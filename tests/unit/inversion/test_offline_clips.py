"""Clips read out of a recorded session, whole or with holes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.inversion.offline.clips import CLIP_FRAMES, RecordedClip, clips_of
from tests.support import inversion_world as world

CLIP, FIRST = world.clip(50), 1000


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return world.recorded(tmp_path_factory.mktemp("recordings"), CLIP, FIRST)


def test_a_clip_comes_back_as_recorded(session):
    clip = RecordedClip(session, FIRST + 10, FIRST + 30).load()
    part = slice(10, 30)
    np.testing.assert_array_equal(clip.target.activity, CLIP.target.activity[part])
    np.testing.assert_allclose(clip.target.behavior, CLIP.target.behavior[part])
    np.testing.assert_array_equal(clip.shown, np.rint(CLIP.shown[part]))
    assert clip.ids.tolist() == list(range(world.N_NEURONS))
    assert clip.rate_hz == 30
    assert clip.name == f"{session.name}-001010"
    assert clip.load() is clip


def test_what_was_not_recorded_is_nan(session):
    clip = RecordedClip(session, FIRST + 45, FIRST + 60).load()
    assert len(clip.target) == 15
    for what in (clip.target.activity, clip.target.behavior, clip.shown):
        assert np.isfinite(what[:5]).all()
        assert np.isnan(what[5:]).all()


def test_where_no_stimulus_is_known_there_is_none(session):
    assert RecordedClip(session, FIRST - 20, FIRST).load().shown is None


@pytest.mark.parametrize(
    ("clip_frames", "lengths"), [(20, [20, 20, 10]), (25, [25, 25]), (300, [50])]
)
def test_a_session_is_cut_into_clips(session, clip_frames, lengths):
    clips = clips_of(session, clip_frames)
    assert [clip.stop - clip.start for clip in clips] == lengths
    assert clips[0].start == FIRST
    assert clips[-1].stop == FIRST + len(CLIP.target)
    assert [clip.name for clip in clips] == [clip.load().name for clip in clips]


def test_ten_seconds_as_published_unless_told(session):
    assert CLIP_FRAMES == 300
    assert len(clips_of(session)) == 1


def test_what_holds_nothing_to_reconstruct_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a recording"):
        clips_of(tmp_path)
    empty = world.recorded(
        tmp_path,
        world.Clip(
            "empty",
            world.Target(*np.empty((2, 0, 2))),
            np.empty((0, 36, 64)),
            np.arange(2),
        ),
    )
    with pytest.raises(UserError, match="holds no activity"):
        clips_of(empty)
