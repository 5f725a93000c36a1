"""Paths into published messages: checked beforehand, read out afterwards."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtrecon.closed_loop.condition import parse
from rtrecon.closed_loop.message_fields import Field
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

SAID = {"session": "s", "seq": 0, "t": 1.0}
QUALITY = messages.Quality(
    **SAID,
    index=7,
    lag=1.2,
    activity_correlation=0.25,
    pixel_correlation_by_lag={"0.17": 0.5},
)
FIELD = messages.Field(
    **SAID, frame=9, shape=(2, 3), shift_px=(0.5, -1.0), confidence=0.9, z=None
)
FRONT = messages.Health(
    **SAID,
    station="front",
    state="running",
    gaps=messages.Gaps(wire=4),
    latency_ms={"frame_to_traces": messages.Percentiles(1.0, 2.0, 3.0, 4.0, 5)},
    lost={"record": 6},
)
ACTIVITY = messages.Activity(
    **SAID,
    index=1,
    frame=2,
    t_frame=3.0,
    behavior=(None, 12.5, None, -2.0),
    late=False,
)

# path, message -> what is read: nan is unknown
READ = {
    "quality.activity_correlation": (QUALITY, 0.25),
    "quality.null_correlation": (QUALITY, math.nan),
    "quality.pixel_correlation_by_lag[0.17]": (QUALITY, 0.5),
    "quality.pixel_correlation_by_lag[0.33]": (QUALITY, math.nan),
    "field.shift_px[1]": (FIELD, -1.0),
    "field.z": (FIELD, math.nan),
    "health.front.latency_ms.frame_to_traces.p99": (FRONT, 3.0),
    "health.front.latency_ms.unheard_of.p99": (FRONT, math.nan),
    "health.front.gaps.wire": (FRONT, 4.0),
    "health.front.lost.record": (FRONT, 6.0),
    "health.front.disk_free_gb": (FRONT, math.nan),
    "activity.behavior[0]": (ACTIVITY, math.nan),
    "activity.behavior[1]": (ACTIVITY, 12.5),
    "activity.behavior[3]": (ACTIVITY, -2.0),
    "activity.late": (ACTIVITY, 0.0),
}

# path -> words of the sentence that it earns
REFUSED = {
    "qualty.lag": "nothing is published as 'qualty'; known: field, activity",
    "event.value": "nothing is published as 'event'",
    "quality.correlation": "quality has no 'correlation' there; known: .*null_corr",
    "quality.lag.p99": "quality has no 'p99'",
    "field.shift_px": "shift_px is no number; of these: 0, 1",
    "field.shift_px[2]": "field has no '2' there; known: 0, 1",
    "activity.behavior[4]": "activity has no '4' there; known: 0, 1, 2, 3",
    "field.reason": "field.reason is no number",
    "health.rate_hz": "health comes from front, inverter, reactor",
    "health.front.latency_ms.hop": "is no number; of these: p50, p95",
    "health.front": "is no number",
}


def field(path: str) -> Field:
    return Field(parse(f"{path} > 0").value)


@pytest.mark.parametrize("path", READ)
def test_a_field_is_read_and_what_is_absent_is_not_known(path):
    message, expected = READ[path]
    reading = field(path)
    assert reading.topic == path.split(".")[0]
    np.testing.assert_equal(reading.read(message, np.empty(0)), expected)


@pytest.mark.parametrize("path", REFUSED)
def test_a_path_that_leads_nowhere_is_a_sentence(path):
    with pytest.raises(UserError, match=REFUSED[path]):
        field(path)


def test_of_health_only_the_named_station_counts():
    reading = field("health.inverter.memory_mb")
    assert reading.read(FRONT, np.empty(0)) is None
    inverter = messages.Health(**SAID, station="inverter", state="x", memory_mb=7.0)
    assert reading.read(inverter, np.empty(0)) == 7.0


def test_activity_that_had_to_wait_says_nothing_about_now():
    late = messages.Activity(**SAID, index=1, frame=2, t_frame=3.0, late=True)
    assert field("activity.behavior[1]").read(late, np.empty(0)) is None
