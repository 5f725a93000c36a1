"""Latency histograms and rate meters, on known distributions and rates."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.metrics.latency import LatencyHistogram, RateMeter
from rtrecon.protocol import messages

ONE_BIN = 0.011  # relative: bins of 1 %, and a percentile between two samples


def counted(latencies_ms: np.ndarray) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for latency_ms in latencies_ms:
        histogram.add_latency(latency_ms)
    return histogram


@pytest.mark.parametrize("typical_ms", [0.02, 3.0, 800.0])
def test_percentiles_agree_with_sorted_values(typical_ms: float):
    latencies_ms = np.random.default_rng(0).lognormal(np.log(typical_ms), 0.5, 20_000)
    p50, p95, p99 = np.percentile(latencies_ms, [50, 95, 99])
    found = counted(latencies_ms).percentiles()
    assert found.n == 20_000
    assert found.max == latencies_ms.max()
    assert [found.p50, found.p95, found.p99] == pytest.approx([p50, p95, p99], ONE_BIN)


def test_a_single_slow_frame_is_the_maximum_and_not_the_median():
    found = counted(np.array([3.0] * 999 + [250.0])).percentiles()
    assert found.max == 250.0
    assert found.p99 == pytest.approx(3.0, ONE_BIN)


def test_no_percentile_exceeds_the_maximum():
    found = counted(np.array([3.0])).percentiles()
    assert found.p50 <= found.max == 3.0


@pytest.mark.parametrize("latency_ms", [-5.0, 0.0, 1e-9, 1e9])
def test_values_outside_count_in_the_outermost_bin(latency_ms: float):
    assert counted(np.array([latency_ms])).percentiles().n == 1


def test_an_empty_histogram_is_all_zero_and_can_be_sent():
    empty = LatencyHistogram().percentiles()
    assert empty == messages.LatencyPercentiles(p50=0, p95=0, p99=0, max=0, n=0)


def test_merged_histograms_equal_one_histogram():
    latencies_ms = np.random.default_rng(1).lognormal(1, 1, 1000)
    merged = counted(latencies_ms[:300])
    merged.add_histogram(counted(latencies_ms[300:]))
    assert merged.percentiles() == counted(latencies_ms).percentiles()


@pytest.mark.parametrize("rate_hz", [5.0, 30.0, 1000.0])
def test_a_steady_stream_has_its_rate_from_the_second_event_on(rate_hz: float):
    meter = RateMeter(window_s=2.0)
    for n in range(200):
        meter.count_event(n / rate_hz)
        if n:
            assert meter.rate_hz(n / rate_hz) == pytest.approx(rate_hz)


def test_the_rate_follows_a_change_within_the_window():
    meter = RateMeter(window_s=1.0)
    times_s = [*np.arange(0, 5, 1 / 30), *np.arange(5, 8, 1 / 10)]
    for time_s in times_s:
        meter.count_event(time_s)
    assert meter.rate_hz(times_s[-1]) == pytest.approx(10)


def test_the_rate_falls_to_zero_without_events():
    meter = RateMeter(window_s=1.0)
    for n in range(30):
        meter.count_event(n / 30)
    assert 0 < meter.rate_hz(1.5) < 30
    assert meter.rate_hz(3.0) == 0


def test_one_event_has_no_rate():
    meter = RateMeter(window_s=1.0)
    meter.count_event(4.0)
    assert meter.rate_hz(4.0) == 0
