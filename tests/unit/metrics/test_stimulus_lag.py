"""Neurons that follow a stimulus with a known delay, drift and wrong clock."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.metrics.stimulus_lag.paired_data import (
    PairedData,
    compute_stimulus_features,
    pair_data,
    shorten_gaps,
)
from rtrecon.metrics.stimulus_lag.repeats import (
    RepeatAgreement,
    find_repeats,
    hash_frames,
)
from rtrecon.metrics.stimulus_lag.sentences import (
    describe_stimulus_lag,
    explain_missing_relation,
    find_lag_warning,
)
from rtrecon.metrics.stimulus_lag.stimulus_lag import (
    LagEstimate,
    StimulusLag,
    measure_stimulus_lag,
)

RATE_HZ, N_FRAMES, N_NEURONS = 30.0, 6000, 16
DELAY_FRAMES = 4.0  # of the neurons, when no clock is wrong


def make_movie(n_frames: int = N_FRAMES) -> np.ndarray:
    """uint8 (T, 8, 8): gray levels that change within a fifth of a second."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(n_frames, 8, 8))
    smooth = np.zeros_like(noise)
    for i in range(1, n_frames):
        smooth[i] = 0.85 * smooth[i - 1] + noise[i]
    return np.clip(127 + 25 * smooth, 0, 255).astype(np.uint8)


def respond(
    movie: np.ndarray, delay_frames: np.ndarray | float = DELAY_FRAMES
) -> np.ndarray:
    """Poisson spikes (T, n) to block means; a delay may change with time."""
    rng = np.random.default_rng(1)
    features = compute_stimulus_features(movie)[:, :4]
    weights = rng.normal(size=(4, N_NEURONS))
    weights /= np.linalg.norm(weights, axis=0)
    drive = (features - features.mean(0)) / features.std(0) @ weights
    at = np.arange(len(movie)) - delay_frames
    late = np.stack(
        [np.interp(at, np.arange(len(movie)), column) for column in drive.T], 1
    )
    return rng.poisson(0.1 * np.exp(late)).astype(np.float32)


def pair(movie: np.ndarray, activity: np.ndarray) -> PairedData:
    return pair_data(compute_stimulus_features(movie), activity, RATE_HZ)


def measure(movie: np.ndarray, activity: np.ndarray) -> StimulusLag:
    return measure_stimulus_lag(pair(movie, activity), hash_frames(movie))


@pytest.fixture(scope="module")
def movie() -> np.ndarray:
    return make_movie()


@pytest.mark.parametrize("wrong_ms", [-500, -200, 0, 50, 500])
def test_the_lag_of_a_wrong_clock_is_measured(movie: np.ndarray, wrong_ms: int):
    found = measure(movie, respond(movie, DELAY_FRAMES + wrong_ms * 1e-3 * RATE_HZ))
    assert found.n_following == N_NEURONS
    assert found.estimate is not None
    expected_s = DELAY_FRAMES / RATE_HZ + wrong_ms * 1e-3
    assert found.estimate.lag_s == pytest.approx(expected_s, abs=0.01)
    assert abs(found.estimate.drift_s) < 0.02


@pytest.mark.parametrize("drift_ppm", [-500, 500, 1000])
def test_the_drift_between_the_halves_is_measured(movie: np.ndarray, drift_ppm: float):
    late = DELAY_FRAMES + np.arange(N_FRAMES) * drift_ppm * 1e-6
    found = measure(movie, respond(movie, late)).estimate
    assert found is not None
    expected_s = N_FRAMES / RATE_HZ / 2 * drift_ppm * 1e-6
    assert found.drift_s == pytest.approx(expected_s, abs=0.02)


@pytest.mark.parametrize("offset_s", [-40.0, 12.3, 45.0])
def test_an_offset_of_many_seconds_is_found(movie: np.ndarray, offset_s: float):
    found = measure(movie, respond(movie, DELAY_FRAMES + offset_s * RATE_HZ))
    assert found.estimate is None
    expected_s = offset_s + DELAY_FRAMES / RATE_HZ
    assert found.distant_offset_s == pytest.approx(expected_s, abs=0.1)


def test_neurons_that_do_not_follow_are_not_counted(movie: np.ndarray):
    activity = respond(movie)
    rng = np.random.default_rng(2)
    activity[:, :8] = rng.poisson(0.1, (N_FRAMES, 8))
    assert measure(movie, activity).n_following == N_NEURONS - 8


def test_unrelated_activity_has_neither_lag_nor_offset(movie: np.ndarray):
    noise = np.random.default_rng(3).poisson(0.1, (N_FRAMES, N_NEURONS))
    found = measure(movie, noise.astype(np.float32))
    assert (found.n_following, found.estimate, found.distant_offset_s) == (
        0,
        None,
        None,
    )


def test_two_minutes_of_unrelated_activity_have_no_lag():
    """A short record of many pixels fits any activity well, but never that well."""
    n_frames = round(120 * RATE_HZ)
    movie = np.random.default_rng(5).integers(0, 256, (n_frames, 16, 16))
    noise = np.random.default_rng(6).poisson(0.1, (n_frames, 24))
    found = measure(movie.astype(np.uint8), noise.astype(np.float32))
    assert (found.n_following, found.estimate) == (0, None)


def test_many_weak_neurons_show_the_lag_together(movie: np.ndarray):
    strong = respond(movie)
    noise = np.random.default_rng(7).poisson(3.0, (N_FRAMES, 160))
    weak = np.tile(strong, (1, 10)) + noise.astype(np.float32)
    found = measure(movie, weak)
    assert found.estimate is not None
    assert found.estimate.lag_s == pytest.approx(DELAY_FRAMES / RATE_HZ, abs=0.03)


def test_weak_neurons_together_show_a_clock_that_is_seconds_wrong(movie: np.ndarray):
    strong = respond(movie, DELAY_FRAMES + 3.0 * RATE_HZ)
    noise = np.random.default_rng(7).poisson(4.0, (N_FRAMES, 160))
    weak = np.tile(strong, (1, 10)) + noise.astype(np.float32)
    n_frames = N_FRAMES // 2
    found = measure(movie[:n_frames], weak[:n_frames])
    assert found.estimate is None
    assert found.distant_offset_s == pytest.approx(3.13, abs=0.1)


def test_a_pause_of_hours_takes_no_memory():
    frames = np.array([5, 6, 7, 10**7, 10**7 + 1])
    assert shorten_gaps(frames, RATE_HZ).tolist() == [0, 1, 2, 2702, 2703]


def test_unknown_frames_and_lost_neurons_change_no_lag(movie: np.ndarray):
    activity = respond(movie)
    whole = measure(movie, activity).estimate
    activity[1000:1300] = np.nan
    activity[:, 3] = np.nan
    found = measure(movie, activity)
    assert found.n_following == N_NEURONS - 1
    assert found.minutes == pytest.approx((N_FRAMES - 300) / RATE_HZ / 60)
    assert found.estimate is not None
    assert whole is not None
    assert found.estimate.lag_s == pytest.approx(whole.lag_s, abs=0.01)


def test_a_dark_screen_is_no_stimulus(movie: np.ndarray):
    found = measure(np.zeros_like(movie), respond(movie))
    assert (found.n_following, found.repeats) == (0, None)


def test_repeated_frames_are_paired_with_their_first_showing():
    ids = np.array([5, 6, 7, 8, 0, 0, 3, 6, 7, 8, 1], np.uint64)
    first, again = find_repeats(ids, window=3)
    assert (first.tolist(), again.tolist()) == ([1], [7])


def test_a_screen_that_stands_still_is_no_repeat():
    first, again = find_repeats(np.full(100, 9, np.uint64), window=30)
    assert len(first) == len(again) == 0


def test_equal_pictures_have_equal_ids():
    movie = np.random.default_rng(0).integers(0, 256, (50, 36, 64)).astype(np.uint8)
    movie[49] = movie[0]
    ids = hash_frames(movie)
    assert len(np.unique(ids)) == 49
    assert ids[0] == ids[49]


@pytest.mark.parametrize("is_driven", [True, False])
def test_responses_to_repeats_agree_only_if_the_movie_drives_them(is_driven: bool):
    once = make_movie(N_FRAMES // 2)
    movie = np.concatenate([once, once])
    activity = respond(movie)
    if not is_driven:
        activity = np.random.default_rng(4).permutation(activity)
    repeats = measure(movie, activity).repeats
    assert repeats is not None
    assert repeats.seconds == pytest.approx(N_FRAMES / 2 / RATE_HZ, abs=1.0)
    assert (repeats.r > 0.1) == is_driven


FOUND = StimulusLag(minutes=10.0, n_neurons=100, n_following=0)
CAUSES = [
    (StimulusLag(10, 100, 0, distant_offset_s=12.3), "12.3 s later than recorded"),
    (StimulusLag(10, 100, 0, distant_offset_s=-7.0), "7.0 s earlier than recorded"),
    (StimulusLag(10, 100, 0, RepeatAgreement(0.2, 30)), "probably the clock"),
    (StimulusLag(10, 100, 0, RepeatAgreement(0.0, 30)), "check the masks"),
    (FOUND, "a clip shown twice would tell which"),
]


@pytest.mark.parametrize(("found", "words"), CAUSES)
def test_the_likely_cause_is_named(found: StimulusLag, words: str):
    assert words in explain_missing_relation(found)
    assert words in " ".join(describe_stimulus_lag(found))


ESTIMATES = [
    (LagEstimate(0.11, 0.002, 0.001, 0.004), ["110 ± 2 ms", "as expected", "no drift"]),
    (LagEstimate(0.81, 0.002, 0.001, 0.004), ["810 ± 2 ms later; expected"]),
    (LagEstimate(0.11, 0.002, 0.06, 0.004), ["+60 ± 4 ms (about 200 ppm)", "drifts"]),
    (LagEstimate(-0.217, 0.009, 0.0, 0.01), ["217 ± 9 ms before", "ahead", "0.4 s"]),
    (LagEstimate(0.6, 0.12, 0.0, 0.2), ["600 ± 120 ms later, as expected"]),
    (LagEstimate(0.11, 0.02, 0.06, 0.04), ["+60 ± 40 ms: no drift"]),
]


def test_only_what_is_wrong_is_a_warning():
    wrong = {
        "before the recorded": LagEstimate(-0.2, 0.01, 0.0, 0.01),
        "drifts": LagEstimate(0.1, 0.002, 0.06, 0.004),
    }
    for words, estimate in wrong.items():
        warning = find_lag_warning(StimulusLag(10.0, 100, 80, estimate=estimate))
        assert words in warning
        assert ";" not in warning.split("drifts")[0]
    right = LagEstimate(0.1, 0.01, 0.0, 0.01)
    assert not find_lag_warning(StimulusLag(10.0, 100, 80, estimate=right))


def test_minutes_in_which_no_clock_drifts_that_far_give_no_warning_of_a_drift():
    few = StimulusLag(1.5, 100, 80, estimate=LagEstimate(0.1, 0.002, -0.034, 0.007))
    assert not find_lag_warning(few)
    assert "5 minutes are needed" in " ".join(describe_stimulus_lag(few))


@pytest.mark.parametrize(("estimate", "words"), ESTIMATES)
def test_lag_and_drift_are_described(estimate: LagEstimate, words: list[str]):
    found = StimulusLag(10.0, 100, 80, estimate=estimate)
    sentences = " ".join(describe_stimulus_lag(found))
    assert "80 of 100 neurons (80%)" in sentences
    for word in words:
        assert word in sentences
