"""The table of live metrics: what follows from an entry."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from rtrecon.metrics.evidence import (
    MIN_FRAMES,
    HopEvidence,
    MetricSetup,
)
from rtrecon.metrics.held_out_correlation import HeldOutCorrelation
from rtrecon.metrics.live_metrics import (
    DISPLAYED_METRICS,
    LIVE_METRICS,
    PIXEL_CORRELATION,
    LiveMetric,
    quality_field,
    quality_field_names,
    quality_series,
)

RNG = np.random.default_rng(0)
SETUP = MetricSetup(np.ones((4, 6), bool), n_held_out=3)


def evidence(n_frames, stimulus=True, recorded=None):
    movie = RNG.normal(100, 10, (n_frames, 4, 6))
    predicted = RNG.gamma(1.0, 1.0, (n_frames, 3))
    return HopEvidence(
        index=0,
        movie=movie,
        stimulus=list(movie) if stimulus else [None] * n_frames,
        predicted=predicted,
        recorded=predicted if recorded is None else recorded,
    )


def test_names_are_unique_and_usable_in_rules():
    names = [series.name for series in quality_series()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][a-z_]*", name) for name in names)


def test_a_series_follows_for_the_movie_and_each_baseline():
    for metric in LIVE_METRICS:
        own = [series for series in quality_series() if series.metric is metric]
        assert [series.baseline for series in own] == [None, *metric.baselines]
        names = [f"{baseline}_{metric.name}" for baseline in metric.baselines]
        assert [series.name for series in own] == [metric.name, *names]


def test_every_metric_has_a_null():
    assert all("null" in metric.baselines for metric in LIVE_METRICS)


def test_the_display_shows_few_metrics_and_a_still_movie_beside_the_stimulus():
    assert [metric.name for metric in DISPLAYED_METRICS] == [
        "activity_correlation",
        "visual_field_correlation",
    ]
    assert DISPLAYED_METRICS[1].baselines == ("null", "mean_frame")


def test_a_metric_without_baselines_has_one_series():
    metric = LiveMetric("brightness", "gray", "d", HeldOutCorrelation, 2, baselines=())
    assert [series.name for series in quality_series([metric])] == ["brightness"]


def test_rule_names_lead_to_the_field_of_the_message():
    assert quality_field("pixel_correlation") == ("metrics", "pixel_correlation")
    assert quality_field("pixel_correlation_by_lag", ("0.17",)) == (
        "metrics_by_lag",
        "pixel_correlation",
        "0.17",
    )
    assert quality_field("lag_s") == ("lag_s",)
    for name in quality_field_names():
        assert quality_field(name)[0] in {"metrics", "metrics_by_lag"}


def test_the_stimulus_correlation_needs_enough_frames_with_a_stimulus():
    correlation = PIXEL_CORRELATION.create(SETUP)
    correlation.add_hop(evidence(MIN_FRAMES - 1))
    correlation.add_hop(evidence(5, stimulus=False))
    assert correlation.value() is None
    correlation.add_hop(evidence(1))
    # r of a movie with itself: float64 sums of 90 frames leave errors near 1e-12.
    assert abs(correlation.value() - 1) < 1e-9


def test_the_held_out_correlation_needs_enough_finite_frames():
    correlation = HeldOutCorrelation(SETUP)
    lost = np.full((MIN_FRAMES, 3), np.nan)
    correlation.add_hop(evidence(MIN_FRAMES, recorded=lost))
    assert correlation.value() is None
    correlation.add_hop(evidence(MIN_FRAMES))
    assert abs(correlation.value() - 1) < 1e-12


def with_lost_neurons(n_frames, *neurons):
    """A hop in which these neurons have no activity."""
    hop = evidence(n_frames)
    recorded = hop.recorded.copy()
    recorded[:, neurons] = np.nan
    return replace(hop, recorded=recorded)


def test_a_held_out_neuron_outside_the_image_does_not_silence_the_others():
    correlation = HeldOutCorrelation(SETUP)
    correlation.add_hop(with_lost_neurons(MIN_FRAMES, 1))
    assert abs(correlation.value() - 1) < 1e-12


def test_a_neuron_with_few_values_does_not_count():
    correlation = HeldOutCorrelation(SETUP)
    hop = with_lost_neurons(MIN_FRAMES, 2)
    # Neuron 2 has two values; its correlation over these is exactly -1.
    hop.recorded[:2, 2] = -hop.predicted[:2, 2]
    correlation.add_hop(hop)
    assert abs(correlation.value() - 1) < 1e-12


def test_a_correlation_expires_two_seconds_after_its_newest_activity():
    correlation = HeldOutCorrelation(SETUP)
    correlation.add_hop(evidence(MIN_FRAMES))
    correlation.add_hop(with_lost_neurons(SETUP.max_evidence_age_frames, 0, 1, 2))
    assert correlation.value() is not None
    correlation.add_hop(with_lost_neurons(1, 0, 1, 2))
    assert correlation.value() is None
    correlation.add_hop(evidence(1))
    assert correlation.value() is not None


def test_a_neuron_that_left_the_image_stops_counting():
    correlation = HeldOutCorrelation(SETUP)
    hop = evidence(MIN_FRAMES)
    hop = replace(hop, recorded=hop.predicted * [1, 1, -1])
    correlation.add_hop(hop)
    assert abs(correlation.value() - 1 / 3) < 1e-12
    correlation.add_hop(with_lost_neurons(SETUP.max_evidence_age_frames + 1, 2))
    assert abs(correlation.value() - 1) < 1e-12


def test_the_stimulus_correlation_expires_when_the_stimulus_stops():
    correlation = PIXEL_CORRELATION.create(SETUP)
    correlation.add_hop(evidence(MIN_FRAMES))
    correlation.add_hop(evidence(SETUP.max_evidence_age_frames, stimulus=False))
    assert correlation.value() is not None
    correlation.add_hop(evidence(1, stimulus=False))
    assert correlation.value() is None
