"""Movies and held-out neurons of known quality, measured hop by hop."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.inversion.live.quality import (
    LiveQuality,
    QualitySettings,
    WindowEstimate,
)
from rtrecon.metrics.live_metrics import (
    ACTIVITY_CORRELATION,
    PIXEL_CORRELATION,
    VISUAL_FIELD_CORRELATION,
    LiveMetric,
)
from rtrecon.stimulus_space.video import VIDEO

HOP, WINDOW = 6, 36
N = 20
HELD_OUT = np.arange(N) < 5
ENOUGH_HOPS = 15 + WINDOW // HOP  # a metric needs 90 frames, from a full window on
RNG = np.random.default_rng(0)
STIMULI = RNG.integers(0, 256, (900, 36, 64)).astype(np.uint8)
ACTIVITY = RNG.gamma(1.0, 1.0, (900, N))
LEFT = np.indices((36, 64))[1] < 32  # where the neurons look
MEAN_FRAME = STIMULI.mean(0)
SETTINGS = QualitySettings(HELD_OUT, LEFT, MEAN_FRAME, HOP, WINDOW, VIDEO)
METRICS = (ACTIVITY_CORRELATION, VISUAL_FIELD_CORRELATION, PIXEL_CORRELATION)


def add_noise(movie, share):
    """Return the movie with this share of its variance replaced by noise."""
    signal = movie - movie.mean()
    noise = RNG.normal(0, signal.std(), movie.shape)
    return 128 + np.sqrt(1 - share) * signal + np.sqrt(share) * noise


class World:
    """A session in which frames that are k hops old contain so much noise."""

    def __init__(self, noise_by_age=(0.0,) * 6, delay_frames=0):
        self.quality = LiveQuality(SETTINGS, METRICS)
        self.noise_by_age = noise_by_age
        self.delay_frames = delay_frames
        self.newest = WINDOW - 1

    def run(self, hops, has_stimulus=True, predicted=ACTIVITY, recorded=ACTIVITY):
        for _ in range(hops):
            self.newest += HOP
            window = slice(self.newest + 1 - WINDOW, self.newest + 1)
            if has_stimulus:
                for index in range(self.newest + 1 - HOP, self.newest + 1):
                    self.quality.add_stimulus(index, STIMULI[index])
            movie = self.movie(window)
            self.quality.add_hop(
                WindowEstimate(self.newest, movie, predicted[window], recorded[window])
            )
        return self.quality.values()

    def by_age(self):
        return self.quality.values_by_age()["pixel_correlation"]

    def movie(self, window):
        made = STIMULI[window.start - self.delay_frames :][:WINDOW].astype(float)
        hops = made.reshape(-1, HOP, 36, 64)[::-1]  # newest first
        noisy = [add_noise(*pair) for pair in zip(hops, self.noise_by_age, strict=True)]
        return np.concatenate(noisy[::-1])


def test_a_perfect_movie_has_correlation_one_at_every_age():
    world = World()
    values = world.run(ENOUGH_HOPS)
    by_age = world.by_age()
    assert list(by_age) == list(range(WINDOW // HOP))
    np.testing.assert_allclose(list(by_age.values()), np.ones(6), atol=1e-4)
    assert values["pixel_correlation"] == by_age[5]
    assert values["activity_correlation"] == pytest.approx(1)


def test_frames_of_each_age_are_measured_separately():
    noise_by_age = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)
    world = World(noise_by_age)
    world.run(ENOUGH_HOPS)
    expected = np.sqrt(1 - np.array(noise_by_age))
    # 90 frames of 2304 independent pixels: the s.d. of r is below 1 / 455 = 0.0022.
    np.testing.assert_allclose(list(world.by_age().values()), expected, atol=0.01)


def test_a_movie_one_frame_late_does_not_correlate():
    late = World(delay_frames=1).run(ENOUGH_HOPS)
    assert abs(late["pixel_correlation"]) < 0.02


def test_no_value_is_published_before_enough_frames():
    world = World()
    assert world.run(14) == {}
    assert "activity_correlation" in world.run(1)


def test_without_a_stimulus_only_the_held_out_neurons_are_measured():
    world = World()
    values = world.run(ENOUGH_HOPS, has_stimulus=False)
    assert values == {"activity_correlation": pytest.approx(1)}
    assert world.by_age() == {}


def test_only_held_out_neurons_count():
    noise = RNG.gamma(1.0, 1.0, ACTIVITY.shape)
    predicted = np.where(HELD_OUT, ACTIVITY, noise)
    values = World().run(ENOUGH_HOPS, predicted=predicted)
    assert values["activity_correlation"] == pytest.approx(1)
    predicted = np.where(HELD_OUT, noise, ACTIVITY)
    values = World().run(ENOUGH_HOPS, predicted=predicted)
    assert abs(values["activity_correlation"]) < 0.2


def test_lost_activity_does_not_count():
    lost = np.full_like(ACTIVITY, np.nan)
    world = World()
    assert "activity_correlation" not in world.run(ENOUGH_HOPS, recorded=lost)
    assert world.run(ENOUGH_HOPS)["activity_correlation"] == pytest.approx(1)


def test_neurons_outside_the_image_do_not_silence_the_others():
    recorded = ACTIVITY.copy()
    recorded[:, 0] = np.nan  # a held-out neuron that is not in today's image
    values = World().run(ENOUGH_HOPS, recorded=recorded)
    assert values["activity_correlation"] == pytest.approx(1)


def test_the_age_of_the_evidence_grows_while_activity_is_lost():
    lost = np.full_like(ACTIVITY, np.nan)
    world = World()
    assert world.quality.evidence_age_frames is None
    world.run(1, recorded=lost)
    assert world.quality.evidence_age_frames is None
    world.run(ENOUGH_HOPS)
    assert world.quality.evidence_age_frames == 0
    values = world.run(10, recorded=lost)
    assert world.quality.evidence_age_frames == 10 * HOP
    assert "activity_correlation" in values
    assert "activity_correlation" not in world.run(1, recorded=lost)


def test_the_null_is_measured_separately():
    world = World()
    world.run(ENOUGH_HOPS)
    for newest in range(WINDOW - 1, WINDOW - 1 + HOP * 30, HOP):
        window = slice(newest + 1 - WINDOW, newest + 1)
        for index in range(window.start, window.stop):
            world.quality.add_stimulus(index, STIMULI[index])
        movie = add_noise(STIMULI[window].astype(float), 1.0)
        exchanged = ACTIVITY[window][:, ::-1]
        estimate = WindowEstimate(newest, movie, ACTIVITY[window], exchanged)
        world.quality.add_null_hop(estimate)
    values = world.quality.values()
    assert abs(values["null_pixel_correlation"]) < 0.02
    assert abs(values["null_activity_correlation"]) < 0.2
    assert values["pixel_correlation"] == pytest.approx(1, abs=1e-4)
    assert values["activity_correlation"] == pytest.approx(1)


def test_a_new_session_begins_without_values():
    world = World()
    world.run(ENOUGH_HOPS)
    world.quality.begin_session()
    assert world.quality.values() == {}
    assert world.by_age() == {}


class MeanGray:
    """A metric of the movie alone, as somebody might add it to the table."""

    def __init__(self, _setup):
        self.mean = None

    def add_hop(self, evidence):
        self.mean = float(evidence.movie.mean())

    def value(self):
        return self.mean


def test_a_new_metric_needs_nothing_but_its_entry():
    metric = LiveMetric(
        "mean_gray", "gray", "mean gray level", MeanGray, 2, by_lag=True
    )
    quality = LiveQuality(SETTINGS, metrics=[metric])
    movie = np.repeat(np.arange(WINDOW // HOP)[:, None, None], HOP, 0) + np.zeros(
        (36, 64)
    )
    window = WindowEstimate(WINDOW - 1, movie, ACTIVITY[:WINDOW], ACTIVITY[:WINDOW])
    quality.add_hop(window)
    quality.add_null_hop(window)
    assert quality.values() == {"mean_gray": 0.0, "null_mean_gray": 0.0}
    assert quality.values_by_age() == {"mean_gray": {k: 5.0 - k for k in range(6)}}
