"""Neurons' activity and likeness to a clip, as rules read them off messages."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.closed_loop.condition import parse
from rtrecon.closed_loop.readings import Activity, reading_of
from rtrecon.config import ReactSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.sources.video import write_movie

SAID = {"session": "s", "seq": 0, "t": 1.0}
IDS = [40, 10, 30, 20]  # in the order of the activity
VALUES = np.array([4.0, 1.0, np.nan, 2.0], np.float32)
CLIP = np.random.default_rng(0).integers(0, 256, (8, 36, 64)).astype(np.uint8)

# rule -> what is read of these values: nan is unknown
READ = {
    "mean(activity)": 7 / 3,
    "sum(activity)": 7.0,
    "mean(activity[10, 20])": 1.5,
    "sum(activity[40, 30])": 4.0,
    "mean(activity[30])": np.nan,
    "mean(left)": 3.0,
}


def reading(value: str, **tables: object):
    return reading_of(parse(f"{value} > 0").value, ReactSettings(**tables))


def heard(late: bool = False) -> messages.Activity:
    return messages.Activity(**SAID, index=1, frame=2, t_frame=3.0, late=late)


def shown(clip: np.ndarray) -> messages.Movie:
    return messages.Movie(
        **SAID, index=9, final=1, lag=0.4, shape=clip.shape, steps=7, t_frame=3.0
    )


@pytest.mark.parametrize("value", READ)
def test_neurons_are_found_by_their_ids(value):
    group = reading(value, groups={"left": [40, 20]})
    assert isinstance(group, Activity)
    assert group.find(IDS) == []
    np.testing.assert_allclose(group.read(heard(), VALUES), READ[value])
    assert group.read(heard(late=True), VALUES) is None


def test_a_session_without_these_neurons_says_nothing_of_them():
    group = reading("mean(activity[10, 77, 78])")
    assert group.find(IDS) == [77, 78]
    assert np.isnan(group.read(heard(), VALUES))
    assert group.find([77, 10, 78, 5]) == []
    assert group.read(heard(), VALUES) == pytest.approx((4 + 1) / 2)


@pytest.mark.parametrize("kind", ["npy", "mp4"])
def test_the_live_movie_is_compared_with_a_clip(tmp_path, kind):
    path = tmp_path / f"clip.{kind}"
    if kind == "npy":
        np.save(path, CLIP)
    else:
        write_movie(path, CLIP)
    alike = reading("similarity(noise)", targets={"noise": str(path)})
    assert alike.read(shown(CLIP[2:6]), CLIP[2:6]) > 0.9
    assert abs(alike.read(shown(CLIP[2:6]), CLIP[2:6, ::-1])) < 0.2


# clip -> words of the sentence that it earns
CLIPS = {
    "no movie": (np.zeros((36, 64), np.uint8), "a clip is uint8"),
    "not uint8": (np.zeros((3, 36, 64)), "a clip is uint8"),
    "grey": (np.full((3, 36, 64), 7, np.uint8), "one grey throughout"),
    "long": (np.resize(CLIP, (301, 36, 64)), "has at most 300"),
    "objects": (np.array([None]), "cannot be read"),
}


@pytest.mark.parametrize("case", CLIPS)
def test_a_clip_that_cannot_be_looked_for_is_a_sentence(tmp_path, case):
    clip, words = CLIPS[case]
    np.save(tmp_path / "clip.npy", clip)
    with pytest.raises(UserError, match=words):
        reading("similarity(it)", targets={"it": str(tmp_path / "clip.npy")})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("mean(right)", r"'right' is not in \[react.groups\]; known: left"),
        ("similarity(noise)", r"'noise' is not in \[react.targets\]; known: none"),
    ],
)
def test_a_name_that_is_not_in_the_settings_is_a_sentence(value, words):
    with pytest.raises(UserError, match=words):
        reading(value, groups={"left": [1]})


def test_a_clip_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        reading("similarity(it)", targets={"it": str(tmp_path / "clip.mp4")})
