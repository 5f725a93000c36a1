"""Clips read from a recorded session, complete or with gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.inversion.offline.clips import CLIP_FRAMES, RecordedClip, cut_session
from tests.support import inversion_world as world

CLIP, FIRST = world.make_clip(50), 1000


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return world.record_clip(tmp_path_factory.mktemp("recordings"), CLIP, FIRST)


def test_a_clip_equals_the_recording(session):
    clip = RecordedClip(session, FIRST + 10, FIRST + 30).load()
    part = slice(10, 30)
    np.testing.assert_array_equal(clip.target.activity, CLIP.target.activity[part])
    np.testing.assert_allclose(clip.target.behavior, CLIP.target.behavior[part])
    np.testing.assert_array_equal(clip.stimulus, np.rint(CLIP.stimulus[part]))
    assert clip.neuron_ids.tolist() == list(range(world.N_NEURONS))
    assert clip.rate_hz == 30
    assert clip.name == f"{session.name}-001010"
    assert clip.load() is clip


def test_activity_that_was_not_recorded_is_nan(session):
    clip = RecordedClip(session, FIRST + 45, FIRST + 60).load()
    assert len(clip.target) == 15
    for what in (clip.target.activity, clip.target.behavior, clip.stimulus):
        assert np.isfinite(what[:5]).all()
        assert np.isnan(what[5:]).all()


def test_a_session_without_stimuli_gives_clips_without_stimulus(session):
    assert RecordedClip(session, FIRST - 20, FIRST).load().stimulus is None


@pytest.mark.parametrize(
    ("clip_frames", "lengths"), [(20, [20, 20, 10]), (25, [25, 25]), (300, [50])]
)
def test_a_session_is_cut_into_clips(session, clip_frames, lengths):
    clips = cut_session(session, clip_frames)
    assert [clip.stop - clip.start for clip in clips] == lengths
    assert clips[0].start == FIRST
    assert clips[-1].stop == FIRST + len(CLIP.target)
    assert [clip.name for clip in clips] == [clip.load().name for clip in clips]


def test_clips_last_ten_seconds_by_default(session):
    assert CLIP_FRAMES == 300
    assert len(cut_session(session)) == 1


def test_a_session_without_activity_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a recorded session"):
        cut_session(tmp_path)
    empty = world.record_clip(
        tmp_path,
        world.Clip(
            "empty",
            world.InversionTarget(*np.empty((2, 0, 2))),
            np.empty((0, 36, 64)),
            np.arange(2),
        ),
    )
    with pytest.raises(UserError, match="has no activity"):
        cut_session(empty)
