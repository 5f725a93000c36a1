"""The refreshes of a screen are measured, and those that were missed are counted."""

from __future__ import annotations

import pytest

from rtrecon.presenter.refresh import RefreshMonitor

N_MEASURED = 31  # flips until the refresh is measured


def make_monitor(interval_s: float, nominal_hz: float = 60.0) -> RefreshMonitor:
    monitor = RefreshMonitor(nominal_hz)
    for k in range(N_MEASURED):
        monitor.add_flip(k * interval_s)
    return monitor


def test_the_refresh_of_a_screen_is_measured():
    monitor = make_monitor(1 / 59.94)
    assert monitor.has_sync
    assert monitor.rate_hz == pytest.approx(59.94)
    assert monitor.compute_pause_s(0.0) == 0.0


def test_a_swap_that_does_not_wait_for_the_screen_is_noticed():
    monitor = make_monitor(0.002)
    assert monitor.has_sync is False
    assert monitor.rate_hz == pytest.approx(60)
    last_s = (N_MEASURED - 1) * 0.002
    assert monitor.compute_pause_s(last_s + 0.004) == pytest.approx(1 / 60 - 0.004)
    assert monitor.compute_pause_s(last_s + 1.0) == 0.0


@pytest.mark.parametrize(("gap", "n_missed"), [(1.0, 0), (1.4, 0), (2.0, 1), (5.1, 4)])
def test_missed_refreshes_are_counted(gap, n_missed):
    monitor = make_monitor(1 / 60)
    last_s = (N_MEASURED - 1) / 60
    assert monitor.add_flip(last_s + gap / 60) == n_missed
    assert monitor.n_dropped == n_missed


def test_the_next_flip_is_one_refresh_after_the_last():
    monitor = make_monitor(1 / 60)
    last_s = (N_MEASURED - 1) / 60
    assert monitor.predict_next_flip_s(last_s + 0.001) == pytest.approx(last_s + 1 / 60)
    assert monitor.predict_next_flip_s(last_s + 1.0) == last_s + 1.0


def test_another_refresh_than_that_of_the_settings_is_reported():
    monitor = make_monitor(1 / 59.94)
    assert monitor.describe_difference(None) == ""
    assert monitor.describe_difference(60.0) == ""
    notice = monitor.describe_difference(120.0)
    assert "59.9 Hz" in notice
    assert "screen.refresh_hz of the settings is 120" in notice
