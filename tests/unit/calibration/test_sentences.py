"""What a calibration says that it needs."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.calibration.judging import MovieScore, ResponseScore
from rtrecon.calibration.recorded_minutes import RecordedMinutes
from rtrecon.calibration.sentences import Scores, describe_handover, describe_missing
from rtrecon.session.about import About
from tests.unit.calibration.test_clips import make_clip

ABOUT = About(session="s", roi_ids=[1], neuron_ids=[1])
RESPONSES = ResponseScore(np.array([0.2, 0.0]), np.array([True, False]))


def make_minutes(movie: np.ndarray, n_conflicts: int = 0) -> RecordedMinutes:
    minutes = RecordedMinutes(ABOUT, [])
    minutes.clips.add_rows(np.arange(len(movie)), movie)
    minutes.n_conflicts = n_conflicts
    return minutes


DIFFERENT = np.concatenate([make_clip(i) for i in range(20)])

# movie, conflicts, scores -> what is written
CASES = {
    "the beginning": (make_clip(0), 0, Scores(), "2.0 more minutes"),
    "two senders": (DIFFERENT, 500, Scores(), "do two programs send a stimulus"),
    "a still picture": (
        np.zeros((700, 36, 64), np.uint8),
        0,
        Scores(),
        "the stimulus stood still for 20 s",
    ),
    "one clip again and again": (
        np.concatenate([make_clip(0)] * 9),
        0,
        Scores(),
        "repeats 1 clips",
    ),
    "no relation": (
        DIFFERENT,
        0,
        Scores(RESPONSES, is_related=False),
        "does not follow the stimulus",
    ),
    "a bad movie": (
        DIFFERENT,
        0,
        Scores(RESPONSES, None, MovieScore(0.05, 0.01, False)),
        "r = 0.05 and 0.01",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_missing_is_written_in_a_sentence(name):
    movie, n_conflicts, scores, expected = CASES[name]
    minutes = make_minutes(movie, n_conflicts)
    assert expected in describe_missing(minutes, 2.0, scores)


def test_nothing_is_missing_once_the_movie_is_clear():
    scores = Scores(RESPONSES, None, MovieScore(0.4, 0.01, True))
    assert not describe_missing(make_minutes(DIFFERENT), 2.0, scores)
    sentence = describe_handover(scores, 3.0, 1)
    assert "the first encoder" in sentence
    assert "1 of 2 neurons respond" in sentence
    assert "encoder 3 of" in describe_handover(scores, 3.0, 3)
