"""Paths into published messages: checked beforehand, then read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtrecon.closed_loop.condition import parse_condition
from rtrecon.closed_loop.message_fields import MessageField
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

HEADER = {"session": "s", "seq": 0, "t": 1.0}
QUALITY = messages.Quality(
    **HEADER,
    encoder_frame=7,
    lag_s=1.2,
    metrics={"activity_correlation": 0.25},
    metrics_by_lag={"pixel_correlation": {"0.17": 0.5}},
)
FIELD = messages.FieldImage(
    **HEADER, frame=9, shape=(2, 3), shift_px=(0.5, -1.0), confidence=0.9, z_offset=None
)
FRONT = messages.Health(
    **HEADER,
    process="daemon",
    state="running",
    gaps=messages.GapCounts(network=4),
    latency_ms={"frame_to_traces": messages.LatencyPercentiles(1.0, 2.0, 3.0, 4.0, 5)},
    lost={"record": 6},
)
ACTIVITY = messages.Activity(
    **HEADER,
    encoder_frame=1,
    frame=2,
    t_frame=3.0,
    behavior=(None, 12.5, None, -2.0),
    is_backlog=False,
)

# path -> message, value; nan = unknown
READ = {
    "quality.activity_correlation": (QUALITY, 0.25),
    "quality.null_activity_correlation": (QUALITY, math.nan),
    "quality.pixel_correlation_by_lag[0.17]": (QUALITY, 0.5),
    "quality.pixel_correlation_by_lag[0.33]": (QUALITY, math.nan),
    "field.shift_px[1]": (FIELD, -1.0),
    "field.z_offset": (FIELD, math.nan),
    "health.daemon.latency_ms.frame_to_traces.p99": (FRONT, 3.0),
    "health.daemon.latency_ms.unheard_of.p99": (FRONT, math.nan),
    "health.daemon.gaps.network": (FRONT, 4.0),
    "health.daemon.lost.record": (FRONT, 6.0),
    "health.daemon.disk_free_gb": (FRONT, math.nan),
    "activity.behavior[0]": (ACTIVITY, math.nan),
    "activity.behavior[1]": (ACTIVITY, 12.5),
    "activity.behavior[3]": (ACTIVITY, -2.0),
    "activity.is_backlog": (ACTIVITY, 0.0),
}

# path -> words of the error
REFUSED = {
    "qualty.lag": "there is no topic 'qualty'; known: field, activity",
    "event.value": "there is no topic 'event'",
    "quality.correlation": "quality has no 'correlation' there; .*null_activity_corr",
    "quality.lag_s.p99": "quality has no 'p99'",
    "field.shift_px": "shift_px is not a number; its fields: 0, 1",
    "field.shift_px[2]": "field has no '2' there; known: 0, 1",
    "activity.behavior[4]": "activity has no '4' there; known: 0, 1, 2, 3",
    "field.rejection_reason": "field.rejection_reason is not a number",
    "health.rate_hz": "health comes from daemon, inverter, closed_loop",
    "health.daemon.latency_ms.hop": "is not a number; its fields: p50, p95",
    "health.daemon": "is not a number",
}


def make_field(path: str) -> MessageField:
    return MessageField(parse_condition(f"{path} > 0").value)


@pytest.mark.parametrize("path", READ)
def test_a_field_is_read_and_an_absent_one_is_nan(path):
    message, expected = READ[path]
    reading = make_field(path)
    assert reading.topic == path.split(".")[0]
    np.testing.assert_equal(reading.read(message, np.empty(0)), expected)


@pytest.mark.parametrize("path", REFUSED)
def test_a_path_to_no_number_is_refused_with_a_sentence(path):
    with pytest.raises(UserError, match=REFUSED[path]):
        make_field(path)


def test_health_of_other_processes_is_ignored():
    reading = make_field("health.inverter.memory_mb")
    assert reading.read(FRONT, np.empty(0)) is None
    inverter = messages.Health(**HEADER, process="inverter", state="x", memory_mb=7.0)
    assert reading.read(inverter, np.empty(0)) == 7.0


def test_activity_of_the_backlog_is_ignored():
    backlog = messages.Activity(
        **HEADER, encoder_frame=1, frame=2, t_frame=3.0, is_backlog=True
    )
    assert make_field("activity.behavior[1]").read(backlog, np.empty(0)) is None
