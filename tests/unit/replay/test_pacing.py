"""When the items of a replay leave, on a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rtrecon.replay import client
from rtrecon.replay.client import Pacing

RECORDED_S = [10.0, 10.1, 10.2, 10.9, 11.0]


@dataclass
class SimulatedTime:
    """A clock in place of the module `time`; it moves while somebody sleeps."""

    now_s: float = 500.0
    sleeps_s: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.sleeps_s.append(seconds)
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch) -> SimulatedTime:
    clock = SimulatedTime()
    monkeypatch.setattr(client, "time", clock)
    return clock


def list_departures(
    clock: SimulatedTime, speed: float | None, work_s: float = 0.0
) -> list[float]:
    """Return when each item leaves, in s from the first; sending it takes work_s."""
    began_s, left_s = clock.now_s, []
    for _ in Pacing(lambda t_s: t_s, speed).wait_until_due(RECORDED_S):
        left_s.append(clock.now_s - began_s)
        clock.now_s += work_s
    return left_s


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
def test_items_leave_at_their_recorded_times_divided_by_the_speed(clock, speed):
    expected = [(t_s - RECORDED_S[0]) / speed for t_s in RECORDED_S]
    assert list_departures(clock, speed) == pytest.approx(expected)


def test_a_slow_sender_is_late_but_its_delays_do_not_add_up(clock):
    left_s = list_departures(clock, 1.0, work_s=0.15)
    assert left_s == pytest.approx([0.0, 0.15, 0.3, 0.9, 1.05])


def test_without_a_speed_no_item_waits(clock):
    assert list_departures(clock, None) == [0.0] * len(RECORDED_S)
    assert clock.sleeps_s == []
