"""A calibration notices within two minutes that a clock or the masks are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.calibration.recorded_minutes import RecordedRows
from rtrecon.calibration.stimulus_check import FIRST_MINUTES, StimulusCheck
from rtrecon.metrics.stimulus_lag.repeats import hash_frames
from tests.unit.metrics.test_stimulus_lag import (
    DELAY_FRAMES,
    RATE_HZ,
    make_movie,
    respond,
)

N_FRAMES = round(FIRST_MINUTES * 60 * RATE_HZ)


@pytest.fixture(scope="module")
def movie() -> np.ndarray:
    return make_movie(3 * N_FRAMES)


def make_rows(movie: np.ndarray, activity: np.ndarray) -> RecordedRows:
    frames = np.arange(len(movie)) + 1000
    return RecordedRows(frames, movie, np.zeros((len(movie), 4)), activity)


def run(check: StimulusCheck, movie: np.ndarray, activity: np.ndarray) -> str:
    assert check.is_due(len(movie) / RATE_HZ / 60)
    return check.run(make_rows(movie, activity), hash_frames(movie), RATE_HZ)


@pytest.mark.parametrize("wrong_ms", [-500, 500])
def test_a_wrong_clock_is_noticed_by_the_first_check(movie, wrong_ms):
    activity = respond(movie, DELAY_FRAMES + wrong_ms * 1e-3 * RATE_HZ)[:N_FRAMES]
    check = StimulusCheck()
    sentence = run(check, movie[:N_FRAMES], activity)
    assert sentence == check.warning
    assert "clock of the stimulus computer" in sentence
    expected_s = wrong_ms * 1e-3 + DELAY_FRAMES / RATE_HZ
    assert check.found.estimate.lag_s == pytest.approx(expected_s, abs=0.03)


def test_a_right_clock_is_reported_once_and_is_no_warning(movie):
    activity, check = respond(movie), StimulusCheck()
    first = run(check, movie[:N_FRAMES], activity[:N_FRAMES])
    assert "as expected" in first
    assert not check.is_due(FIRST_MINUTES + 0.1)
    assert not run(check, movie, activity)
    assert not check.warning


def test_unrelated_activity_is_a_warning_once_there_is_enough_of_it(movie):
    rng, check = np.random.default_rng(3), StimulusCheck()
    activity = rng.poisson(0.1, (len(movie), 16)).astype(np.float32)
    assert "0 of 16 neurons" in run(check, movie[:N_FRAMES], activity[:N_FRAMES])
    assert not check.warning
    sentence = run(check, movie, activity)
    assert "likely causes are the clock of the stimulus computer, the masks" in sentence
    assert check.warning == sentence


def test_a_warning_ends_when_the_clock_is_right(movie):
    rng, check = np.random.default_rng(3), StimulusCheck()
    unrelated = rng.poisson(0.1, (len(movie), 16)).astype(np.float32)
    run(check, movie, unrelated)
    longer = np.concatenate([movie, movie])
    run(check, longer, np.concatenate([unrelated, respond(movie)]))
    assert not check.warning


def test_a_pause_and_lost_frames_do_not_disturb(movie):
    check, activity = StimulusCheck(), respond(movie)[:N_FRAMES]
    activity[:100] = np.nan
    rows = make_rows(movie[:N_FRAMES], activity)
    rows.encoder_frames[1500:] += 10**6
    check.run(rows, hash_frames(rows.movie), RATE_HZ)
    assert check.found.estimate.lag_s == pytest.approx(DELAY_FRAMES / RATE_HZ, abs=0.03)


def test_a_picture_that_stands_still_is_not_judged(movie):
    still = np.repeat(movie[:1], len(movie), 0)
    check = StimulusCheck()
    assert not run(check, still, respond(movie))
    assert (check.found, check.warning) == (None, "")


def test_neurons_that_follow_nothing_are_reported_while_one_clip_repeats(movie):
    rng, check = np.random.default_rng(3), StimulusCheck()
    repeated = np.concatenate([movie[: N_FRAMES // 3]] * 9)
    unrelated = rng.poisson(0.1, (len(repeated), 16)).astype(np.float32)
    assert "do not answer repeats of a clip alike" in run(check, repeated, unrelated)
    assert "check the masks" in check.warning
