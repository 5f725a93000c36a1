"""Activity of neurons and similarity to a clip, as rules read them."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.closed_loop.condition import parse_condition
from rtrecon.closed_loop.readings import ActivityReading, make_reading
from rtrecon.config import ClosedLoopSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.sources.video import write_movie
from rtrecon.stimulus_space.video import VIDEO

HEADER = {"session": "s", "seq": 0, "t": 1.0}
IDS = [40, 10, 30, 20]  # in the order of the activity
VALUES = np.array([4.0, 1.0, np.nan, 2.0], np.float32)
CLIP = np.random.default_rng(0).integers(0, 256, (8, 36, 64)).astype(np.uint8)

# value of a condition -> its number; nan = unknown
READ = {
    "mean(activity)": 7 / 3,
    "sum(activity)": 7.0,
    "mean(activity[10, 20])": 1.5,
    "sum(activity[40, 30])": 4.0,
    "mean(activity[30])": np.nan,
    "mean(left)": 3.0,
}


def reading_of(value: str, **tables: object):
    return make_reading(
        parse_condition(f"{value} > 0").value, ClosedLoopSettings(**tables), VIDEO
    )


def activity(is_backlog: bool = False) -> messages.Activity:
    return messages.Activity(
        **HEADER, encoder_frame=1, frame=2, t_frame=3.0, is_backlog=is_backlog
    )


def movie(clip: np.ndarray) -> messages.Movie:
    return messages.Movie(
        **HEADER,
        encoder_frame=9,
        n_final=1,
        lag_s=0.4,
        shape=clip.shape,
        n_steps=7,
        t_frame=3.0,
    )


@pytest.mark.parametrize("value", READ)
def test_neurons_are_found_by_their_ids(value):
    group = reading_of(value, groups={"left": [40, 20]})
    assert isinstance(group, ActivityReading)
    assert group.find_neurons(IDS) == []
    np.testing.assert_allclose(group.read(activity(), VALUES), READ[value])
    assert group.read(activity(is_backlog=True), VALUES) is None


def test_a_group_with_missing_neurons_is_unknown():
    group = reading_of("mean(activity[10, 77, 78])")
    assert group.find_neurons(IDS) == [77, 78]
    assert np.isnan(group.read(activity(), VALUES))
    assert group.find_neurons([77, 10, 78, 5]) == []
    assert group.read(activity(), VALUES) == pytest.approx((4 + 1) / 2)


@pytest.mark.parametrize("kind", ["npy", "mp4"])
def test_the_similarity_to_a_clip_is_read_from_the_movie(tmp_path, kind):
    path = tmp_path / f"clip.{kind}"
    if kind == "npy":
        np.save(path, CLIP)
    else:
        write_movie(path, CLIP)
    similarity = reading_of("similarity(noise)", targets={"noise": str(path)})
    assert similarity.read(movie(CLIP[2:6]), CLIP[2:6]) > 0.9
    assert abs(similarity.read(movie(CLIP[2:6]), CLIP[2:6, ::-1])) < 0.2


# clip -> words of the error
CLIPS = {
    "no movie": (np.zeros((36, 64), np.uint8), "a clip is uint8"),
    "not uint8": (np.zeros((3, 36, 64)), "a clip is uint8"),
    "one gray level": (np.full((3, 36, 64), 7, np.uint8), "same gray level everywhere"),
    "long": (np.resize(CLIP, (301, 36, 64)), "has at most 300"),
    "objects": (np.array([None]), "cannot be read"),
}


@pytest.mark.parametrize("case", CLIPS)
def test_an_unusable_clip_is_refused_with_a_sentence(tmp_path, case):
    clip, words = CLIPS[case]
    np.save(tmp_path / "clip.npy", clip)
    with pytest.raises(UserError, match=words):
        reading_of("similarity(it)", targets={"it": str(tmp_path / "clip.npy")})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("mean(right)", r"'right' is not in \[closed_loop.groups\]; known: left"),
        (
            "similarity(noise)",
            r"'noise' is not in \[closed_loop.targets\]; known: none",
        ),
    ],
)
def test_a_name_that_is_not_in_the_settings_is_refused(value, words):
    with pytest.raises(UserError, match=words):
        reading_of(value, groups={"left": [1]})


def test_a_missing_clip_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        reading_of("similarity(it)", targets={"it": str(tmp_path / "clip.mp4")})
