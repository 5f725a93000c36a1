"""The health line: the value of each figure, and when it is an alarm."""

from __future__ import annotations

import pytest

from rtrecon.display.health_line import describe_states, make_figures
from rtrecon.protocol import messages

OTHER = messages.LatencyPercentiles(p50=20.0, p95=30.0, p99=40.0, max=90.0, n=10)
MEASURED = messages.LatencyPercentiles(p50=5.25, p95=8.0, p99=12.4, max=30.0, n=10)
EMPTY = messages.LatencyPercentiles(p50=0.0, p95=0.0, p99=0.0, max=0.0, n=0)


def health(process: str, **fields) -> dict[str, messages.Health]:
    message = messages.Health(
        session="s", seq=0, t=0.0, process=process, state="running", **fields
    )
    return {process: message}


CASES = {  # health, label, its value, whether it is an alarm
    "frame rate": (
        health("daemon", rate_hz=29.97),
        "frames per second",
        "30.0",
        False,
    ),
    "the daemon's latency": (
        health("daemon", latency_ms={"frame_to_traces": MEASURED, "other": OTHER}),
        "frame to traces: p50 / p99",
        "5.2 / 12 ms",
        False,
    ),
    "the inverter's latency": (
        health("inverter", latency_ms={"activity_to_movie": MEASURED, "other": OTHER}),
        "activity to movie: p50 / p99",
        "5.2 / 12 ms",
        False,
    ),
    "no latency measured yet": (
        health("daemon", latency_ms={"frame_to_traces": EMPTY}),
        "frame to traces: p50 / p99",
        "–",
        False,
    ),
    "no frame lost": (
        health("daemon"),
        "frames lost: network / source",
        "0 / 0",
        False,
    ),
    "frames lost on the network and at the source": (
        health("daemon", gaps=messages.GapCounts(network=1, source=3, repeated=7)),
        "frames lost: network / source",
        "1 / 3",
        True,
    ),
    "optimiser steps": (
        health("inverter", steps_per_hop=1.25),
        "steps per update",
        "1.2",
        False,
    ),
    "missed deadlines of both processes": (
        health("daemon", deadline_misses=2) | health("inverter", deadline_misses=3),
        "deadlines missed",
        "5",
        True,
    ),
    "memory of one process": (
        health("daemon", memory_mb=412.3),
        "memory: daemon / inverter",
        "412 / – MB",
        False,
    ),
    "enough disk": (health("daemon", disk_free_gb=380.6), "free disk", "381 GB", False),
    "little disk": (health("daemon", disk_free_gb=3.2), "free disk", "3 GB", True),
    "rows not recorded": (
        health("daemon", disk_free_gb=50.0, lost={"record": 1}),
        "free disk",
        "50 GB",
        True,
    ),
}


@pytest.mark.parametrize(
    ("by_process", "label", "value", "is_alarm"), CASES.values(), ids=CASES
)
def test_each_figure_shows_its_value_and_alarm(by_process, label, value, is_alarm):
    (figure,) = [f for f in make_figures(by_process) if f.label == label]
    assert (figure.value, figure.is_alarm) == (value, is_alarm)


def test_the_line_has_the_same_figures_before_the_first_health_message():
    labels = [figure.label for figure in make_figures({})]
    both = health("daemon") | health("inverter")
    assert labels == [figure.label for figure in make_figures(both)]
    assert {figure.value for figure in make_figures({})} == {"–"}


def test_the_states_of_all_processes_are_listed():
    both = health("inverter") | health("daemon")
    assert describe_states(both) == "daemon running, inverter running"
    assert describe_states({}) == ""
