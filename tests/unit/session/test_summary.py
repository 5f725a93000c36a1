"""A session's figures, from sessions whose figures are known."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rtrecon.metrics.similarity import video_correlation
from rtrecon.protocol import messages
from rtrecon.session import summary as summary_module
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.summary import summarise, summary_table
from tests.support import session_tables as world

KEYS = {
    "frames_sent",
    "frames_received",
    "frames_processed",
    "gaps",
    "latency_ms",
    "realtime_factor",
    "steps_per_hop",
    "align_error_ms",
    "deadline_misses",
    "pixel_correlation",
    "activity_correlation",
    "null_correlation",
    "null_pixel_correlation",
    "peak_memory_mb",
}


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path, world.about())
    yield recorder
    recorder.close()


def summary_of(recorder: Recorder, extra: dict | None = None) -> dict:
    recorder.close()
    assert recorder.failure is None
    return summarise(Session(recorder.path), extra)


def test_what_nobody_recorded_is_not_known(recorder: Recorder):
    summary = summary_of(recorder)
    assert set(summary) == KEYS
    unknown = {"frame_to_traces", "activity_to_movie", "frame_to_movie", "hop"}
    assert summary.pop("latency_ms") == dict.fromkeys(unknown)
    assert summary.pop("peak_memory_mb") == {"front": None, "inverter": None}
    assert set(summary.values()) == {None}


def test_counts_are_the_last_ones_of_each_process(recorder: Recorder):
    recorder.health(world.health(frames_received=10, peak_memory_mb=300))
    recorder.health(world.health("inverter", deadline_misses=2, peak_memory_mb=900))
    recorder.health(
        world.health(
            frames_received=90,
            frames_processed=88,
            gaps=messages.Gaps(wire=2, repeats=1),
            peak_memory_mb=310,
        )
    )
    summary = summary_of(recorder)
    assert summary["frames_received"] == 90
    assert summary["frames_processed"] == 88
    assert summary["gaps"] == {"wire": 2, "source": 0, "repeats": 1}
    assert summary["deadline_misses"] == 2
    assert summary["peak_memory_mb"] == {"front": 310, "inverter": 900}


def test_rates_are_those_while_it_ran(recorder: Recorder):
    recorder.health(world.health(realtime_factor=1.01))
    recorder.health(world.health(state="idle", realtime_factor=0.1))
    assert summary_of(recorder)["realtime_factor"] == 1.01


def test_latencies_measured_by_a_process_come_before_the_rows(recorder: Recorder):
    measured = messages.Percentiles(p50=150, p95=160, p99=170, max=180, n=9)
    empty = messages.Percentiles(p50=0, p95=0, p99=0, max=0, n=0)
    recorder.health(world.health(latency_ms={"activity_to_movie": measured}))
    recorder.health(world.health(latency_ms={"frame_to_traces": empty}))
    recorder.frame(world.frame_row(0), world.traces(0))
    recorder.movie(world.movie(11), np.zeros((12, *world.IMAGE), np.uint8))
    latency_ms = summary_of(recorder)["latency_ms"]
    assert latency_ms["activity_to_movie"]["p99"] == 170
    assert latency_ms["frame_to_traces"]["p50"] == pytest.approx(3.0)
    assert latency_ms["frame_to_movie"]["max"] == pytest.approx(500)


def test_quality_is_the_last_that_was_known(recorder: Recorder):
    for known in ({"activity_correlation": 0.2, "null_correlation": 0.01}, {}):
        quality = messages.Quality(session="s", seq=0, t=0, index=1, lag=0.2, **known)
        recorder.quality(quality)
    summary = summary_of(recorder)
    assert summary["activity_correlation"] == 0.2
    assert summary["null_correlation"] == 0.01


def test_pixel_correlation_finds_the_better_estimate_at_a_longer_lag(
    recorder: Recorder,
):
    truth = np.stack([world.stimulus(i) for i in range(36)])
    rough = truth // 2 + np.random.default_rng(1).permutation(truth) // 2
    for i, image in enumerate(truth):
        recorder.stimulus(i, image)
    for newest in range(11, 36, 6):  # the older half of each window is right
        first = newest - 11
        window = np.concatenate([truth[first : first + 6], rough[first + 6 :][:6]])
        recorder.movie(world.movie(newest), window)
    correlation = summary_of(recorder)["pixel_correlation"]
    expected = video_correlation(rough[9:36], truth[9:36])
    assert correlation["3"] == pytest.approx(expected, abs=0.05)
    assert correlation["final"] == pytest.approx(1)
    assert correlation["12"] > correlation["3"] + 0.1


def test_a_long_session_is_judged_by_some_of_its_frames(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(summary_module, "MOST_FRAMES", 3)
    truth = np.stack([world.stimulus(i) for i in range(12)])
    for i, image in enumerate(truth):
        recorder.stimulus(i, image)
    recorder.movie(world.movie(11, final=12), truth)
    assert summary_of(recorder)["pixel_correlation"]["final"] == pytest.approx(1)


def test_a_grey_movie_has_no_correlation(recorder: Recorder):
    recorder.stimulus(0, world.stimulus(0))
    recorder.movie(world.movie(11), np.full((12, *world.IMAGE), 127, np.uint8))
    assert summary_of(recorder)["pixel_correlation"]["final"] is None


def test_figures_from_elsewhere_are_added(recorder: Recorder):
    recorder.health(world.health(peak_memory_mb=300))
    extra = {"frames_sent": 3600, "peak_memory_mb": {"display": 200.0}}
    summary = summary_of(recorder, extra)
    assert summary["frames_sent"] == 3600
    assert summary["peak_memory_mb"] == {
        "front": 300,
        "inverter": None,
        "display": 200,
    }


def test_the_table_says_what_is_not_known(recorder: Recorder):
    console = Console(width=100, file=io.StringIO())
    console.print(summary_table(summary_of(recorder, {"frames_sent": 3600})))
    text = console.file.getvalue()
    assert "frames_sent" in text
    assert "3600" in text
    assert "not known" in text
