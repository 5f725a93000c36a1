"""Every live metric on movies whose likeness to the stimulus is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter1d

from rtrecon.metrics.evidence import HopEvidence, MetricSetup
from rtrecon.metrics.live_metrics import LIVE_METRICS
from rtrecon.simulate.movie import make_natural_movie

N_FRAMES, HOP = 600, 5
METRICS = {metric.name: metric for metric in LIVE_METRICS if metric.needs_stimulus}
WITH_IMAGES = [name for name in METRICS if name != "response_correlation"]
ROW, COLUMN = np.indices((36, 64))
VISUAL_FIELD = np.hypot(ROW - 18, COLUMN - 30) < 17
SETUP = MetricSetup(VISUAL_FIELD, frame_step=HOP)
# What an unrelated natural movie reaches at most; most scores of one scatter around 0.
UNRELATED = {
    "identification": 0.25,  # of 20 segments: chance 0.05
    "pairwise_identification": 0.65,  # chance 0.5
    "structural_similarity": 0.3,
    "gabor_correlation": 0.5,  # coarse filters answer more than fine ones to any movie
}
CHANCE = 0.25


@cache
def load_stimulus(seed: int = 3) -> np.ndarray:
    return make_natural_movie(N_FRAMES, seed)


@pytest.fixture(scope="module", autouse=True)
def _movies() -> None:
    load_stimulus()
    load_stimulus(4)


def measure(name: str, movie: np.ndarray, stimulus: np.ndarray | None = None):
    """Return the metric of a movie that is measured hop by hop."""
    stimulus = load_stimulus() if stimulus is None else stimulus
    accumulator = METRICS[name].create(SETUP)
    responses = [
        frames.reshape(len(frames), -1)[:, ::97].astype(float)
        for frames in (movie, stimulus)
    ]
    for start in range(0, len(movie), HOP):
        hop = slice(start, start + HOP)
        nothing = np.empty((len(movie[hop]), 0))
        accumulator.add_hop(
            HopEvidence(
                index=start,
                movie=movie[hop],
                stimulus=list(stimulus[hop]),
                predicted=nothing,
                recorded=nothing,
                movie_response=responses[0][hop],
                stimulus_response=responses[1][hop],
            )
        )
    return accumulator.value()


def keep_low_frequencies(movie: np.ndarray, cycles_per_px: float) -> np.ndarray:
    """Return the movie without what is finer."""
    frequency = np.hypot(ROW / 72, COLUMN / 128)
    spectrum = dctn(movie.astype(float), axes=(1, 2), norm="ortho")
    return idctn(spectrum * (frequency < cycles_per_px), axes=(1, 2), norm="ortho")


def add_noise(movie: np.ndarray, sd: float) -> np.ndarray:
    return movie + np.random.default_rng(0).normal(0, sd, movie.shape)


@pytest.mark.parametrize("name", METRICS)
def test_the_stimulus_itself_has_the_largest_value(name):
    value = measure(name, load_stimulus().astype(np.float32))
    assert value == pytest.approx(METRICS[name].value_range[1], abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_an_unrelated_movie_is_at_chance(name):
    value = measure(name, load_stimulus(4).astype(np.float32))
    assert value < UNRELATED.get(name, CHANCE)
    if METRICS[name].value_range[0] == 0:
        assert value >= 0


@pytest.mark.parametrize("name", WITH_IMAGES)
def test_noise_and_a_shift_lower_every_score(name):
    stimulus = load_stimulus().astype(float)
    noisy = measure(name, add_noise(stimulus, 60))
    shifted = measure(name, np.roll(stimulus, 16, axis=2))
    # Identification survives a lot of noise, and coarse bands nearly all of it.
    assert shifted < (1 if "identification" in name else 0.95)
    if "identification" not in name:
        assert noisy < 0.999


@pytest.mark.parametrize("name", METRICS)
def test_a_constant_movie_has_no_score_and_raises_no_warning(name):
    gray = np.full((N_FRAMES, 36, 64), 100.3, np.float32)
    value = measure(name, gray)
    # Structural similarity compares gray levels too, and those are known.
    assert (value is None) == (name != "structural_similarity")
    assert measure(name, load_stimulus().astype(np.float32), gray) is None or (
        name == "structural_similarity"
    )


@pytest.mark.parametrize("name", WITH_IMAGES)
def test_frames_that_are_not_finite_do_not_count(name):
    movie = load_stimulus().astype(np.float32)
    movie[::97] = np.nan
    value = measure(name, movie)
    # A gap begins a new segment: identification has too few, slow bands still have one.
    if name.endswith("identification"):
        assert value is None
    else:
        assert value == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", WITH_IMAGES)
def test_only_pixels_where_the_neurons_look_count(name):
    damaged = load_stimulus().astype(np.float32)
    damaged[:, :, 58:] = 0
    value = measure(name, damaged)
    spreads = name in ("gabor_correlation",) or "spatial" in name
    if name == "pixel_correlation" or spreads:
        assert value < 1 - 1e-6  # of the whole screen, or filters that reach beyond
    else:
        assert value == pytest.approx(1, abs=1e-6)


def test_a_movie_of_the_right_brightness_alone_has_no_structure():
    brightness = load_stimulus().mean((1, 2), keepdims=True, dtype=np.float32)
    movie = np.broadcast_to(brightness, load_stimulus().shape)
    assert measure("visual_field_correlation", movie) > 0.05
    for name in (
        "gabor_correlation",
        "identification",
        "pairwise_identification",
        "middle_spatial_correlation",
        "high_spatial_correlation",
    ):
        assert measure(name, movie) is None


def test_brightness_and_contrast_do_not_decide_identification():
    movie = 90 + 0.3 * load_stimulus().astype(float)
    assert measure("identification", movie) == 1
    assert measure("structural_similarity", movie) < 0.9


def test_a_blurred_movie_falls_in_the_high_band_first():
    blurred = keep_low_frequencies(load_stimulus(), 0.05)
    by_band = [
        measure(f"{band}_spatial_correlation", add_noise(blurred, 3))
        for band in ("low", "middle", "high")
    ]
    assert by_band[0] > 0.95
    assert by_band[0] > by_band[1] > 0.3 > 0.1 > abs(by_band[2])


def test_a_slow_movie_falls_in_the_high_temporal_band_first():
    stimulus = load_stimulus().astype(float)
    slow = gaussian_filter1d(stimulus, 4, axis=0)
    by_band = [
        measure(f"{band}_temporal_correlation", add_noise(slow, 3))
        for band in ("low", "middle", "high")
    ]
    assert by_band[0] > by_band[1] > by_band[2]
    assert measure("motion_correlation", add_noise(slow, 3)) < 0.5


def test_a_still_movie_has_no_motion_and_no_fast_band():
    still = np.repeat(load_stimulus()[:1], N_FRAMES, 0).astype(np.float32)
    for name in (
        "motion_correlation",
        "high_temporal_correlation",
        "middle_temporal_correlation",
        "identification",
    ):
        assert measure(name, still) is None
    assert measure("low_temporal_correlation", still) is not None


def test_values_expire_when_the_stimulus_stops():
    stimulus = load_stimulus()
    nothing = np.empty((61, 0))
    for name in METRICS:
        accumulator = METRICS[name].create(replace(SETUP, window_frames=120))
        both = stimulus[:120].astype(np.float32)
        hop = HopEvidence(
            0,
            both,
            list(both),
            np.empty((120, 0)),
            np.empty((120, 0)),
            both[:, 0],
            both[:, 0],
        )
        accumulator.add_hop(hop)
        assert accumulator.value() is not None, name
        accumulator.add_hop(HopEvidence(120, both[:61], [None] * 61, nothing, nothing))
        assert accumulator.value() is None, name
