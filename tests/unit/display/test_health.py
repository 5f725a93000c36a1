"""The health line: what each figure says, and when it asks for a look."""

from __future__ import annotations

import pytest

from rtrecon.display.health import figures, states
from rtrecon.protocol import messages

OTHER = messages.Percentiles(p50=20.0, p95=30.0, p99=40.0, max=90.0, n=10)
HERE = messages.Percentiles(p50=5.25, p95=8.0, p99=12.4, max=30.0, n=10)
NONE = messages.Percentiles(p50=0.0, p95=0.0, p99=0.0, max=0.0, n=0)


def health(station: str, **fields) -> dict[str, messages.Health]:
    message = messages.Health(
        session="s", seq=0, t=0.0, station=station, state="running", **fields
    )
    return {station: message}


CASES = {  # the messages, the label, its value, whether it asks for a look
    "rate": (health("front", rate_hz=29.97), "frames per second", "30.0", False),
    "the front's latency": (
        health("front", latency_ms={"frame_to_traces": HERE, "other": OTHER}),
        "frame to traces p50 / p99",
        "5.2 / 12 ms",
        False,
    ),
    "the inverter's latency": (
        health("inverter", latency_ms={"activity_to_movie": HERE, "other": OTHER}),
        "activity to movie p50 / p99",
        "5.2 / 12 ms",
        False,
    ),
    "nothing measured yet": (
        health("front", latency_ms={"frame_to_traces": NONE}),
        "frame to traces p50 / p99",
        "–",
        False,
    ),
    "nothing lost": (health("front"), "frames lost: wire / source", "0 / 0", False),
    "losses by place": (
        health("front", gaps=messages.Gaps(wire=1, source=3, repeats=7)),
        "frames lost: wire / source",
        "1 / 3",
        True,
    ),
    "steps": (health("inverter", steps_per_hop=1.25), "steps per hop", "1.2", False),
    "misses of both": (
        health("front", deadline_misses=2) | health("inverter", deadline_misses=3),
        "deadlines missed",
        "5",
        True,
    ),
    "memory of one": (
        health("front", memory_mb=412.3),
        "memory: front / inverter",
        "412 / – MB",
        False,
    ),
    "disk": (health("front", disk_free_gb=380.6), "disk left", "381 GB", False),
    "scarce disk": (health("front", disk_free_gb=3.2), "disk left", "3 GB", True),
    "not all recorded": (
        health("front", disk_free_gb=50.0, lost={"record": 1}),
        "disk left",
        "50 GB",
        True,
    ),
}


@pytest.mark.parametrize(
    ("messages", "label", "value", "alarm"), CASES.values(), ids=CASES
)
def test_figure(messages, label, value, alarm):
    (figure,) = [f for f in figures(messages) if f.label == label]
    assert (figure.value, figure.alarm) == (value, alarm)


def test_the_line_has_the_same_figures_before_anything_is_known():
    labels = [figure.label for figure in figures({})]
    both = health("front") | health("inverter")
    assert labels == [figure.label for figure in figures(both)]
    assert {figure.value for figure in figures({})} == {"–"}


def test_states_of_all_stations():
    both = health("inverter") | health("front")
    assert states(both) == "front running, inverter running"
    assert states({}) == ""
