"""The summary of sessions whose figures are known."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rtrecon.metrics.live_metrics import (
    DISPLAYED_METRICS,
    PIXEL_CORRELATION,
    quality_series,
)
from rtrecon.metrics.similarity import video_correlation
from rtrecon.metrics.visual_field import encode_visual_field
from rtrecon.protocol import messages
from rtrecon.session import summary as summary_module
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.summary import make_summary_table, summarize_session
from tests.support import session_tables as world

SUMMARIZED = (*DISPLAYED_METRICS, PIXEL_CORRELATION)
KEYS = {
    "frames_sent",
    "frames_lost",
    "frames_received",
    "frames_processed",
    "conditions",
    "gaps",
    "latency_ms",
    "realtime_factor",
    "steps_per_hop",
    "clock_error_ms",
    "monitor_lag_ms",
    "pictures",
    "deadline_misses",
    "peak_memory_mb",
    *(
        series.name
        for series in quality_series((*DISPLAYED_METRICS, PIXEL_CORRELATION))
    ),
}


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path, world.make_about())
    yield recorder
    recorder.close()


def summarize(recorder: Recorder, extra: dict | None = None) -> dict:
    recorder.close()
    assert recorder.failure is None
    return summarize_session(Session(recorder.path), extra)


def test_figures_that_were_not_recorded_are_none(recorder: Recorder):
    summary = summarize(recorder)
    assert set(summary) == KEYS
    unknown = {"frame_to_traces", "activity_to_movie", "frame_to_movie", "hop"}
    assert summary.pop("latency_ms") == dict.fromkeys(unknown)
    assert summary.pop("peak_memory_mb") == {"daemon": None, "inverter": None}
    assert set(summary.values()) == {None}


def test_what_was_wrong_at_any_time_is_in_the_summary(recorder: Recorder):
    recorder.add_health(world.make_health(conditions={"no-go": "rotated by 3 degrees"}))
    recorder.add_health(world.make_health(conditions={"detector offset": "too low"}))
    recorder.add_health(world.make_health(conditions={}))
    assert summarize(recorder)["conditions"] == {
        "no-go": "rotated by 3 degrees",
        "detector offset": "too low",
    }


def test_counts_are_those_last_published_by_each_process(recorder: Recorder):
    recorder.add_health(world.make_health(frames_received=10, peak_memory_mb=300))
    recorder.add_health(
        world.make_health("inverter", deadline_misses=2, peak_memory_mb=900)
    )
    recorder.add_health(
        world.make_health(
            frames_received=90,
            frames_processed=88,
            gaps=messages.GapCounts(network=2, repeated=1),
            peak_memory_mb=310,
        )
    )
    summary = summarize(recorder)
    assert summary["frames_received"] == 90
    assert summary["frames_processed"] == 88
    assert summary["gaps"] == {"network": 2, "source": 0, "repeated": 1}
    assert summary["deadline_misses"] == 2
    assert summary["peak_memory_mb"] == {"daemon": 310, "inverter": 900}


def test_the_realtime_factor_is_that_of_a_running_daemon(recorder: Recorder):
    recorder.add_health(world.make_health(realtime_factor=1.01))
    recorder.add_health(world.make_health(state="idle", realtime_factor=0.1))
    assert summarize(recorder)["realtime_factor"] == 1.01


def test_latencies_measured_by_a_process_replace_those_of_the_rows(recorder: Recorder):
    measured = messages.LatencyPercentiles(p50=150, p95=160, p99=170, max=180, n=9)
    empty = messages.LatencyPercentiles(p50=0, p95=0, p99=0, max=0, n=0)
    recorder.add_health(world.make_health(latency_ms={"activity_to_movie": measured}))
    recorder.add_health(world.make_health(latency_ms={"frame_to_traces": empty}))
    recorder.add_frame(world.make_frame_row(0), world.make_traces(0))
    recorder.add_movie(
        world.make_movie_message(11), np.zeros((12, *world.IMAGE), np.uint8)
    )
    latency_ms = summarize(recorder)["latency_ms"]
    assert latency_ms["activity_to_movie"]["p99"] == 170
    assert latency_ms["frame_to_traces"]["p50"] == pytest.approx(3.0)
    assert latency_ms["frame_to_movie"]["max"] == pytest.approx(500)


def test_quality_is_the_mean_of_the_values_published(recorder: Recorder):
    for known in (
        {"activity_correlation": 0.1, "null_activity_correlation": 0.01},
        {"activity_correlation": 0.3},
        {},
    ):
        quality = messages.Quality(
            session="s", seq=0, t=0, encoder_frame=1, lag_s=0.2, metrics=known
        )
        recorder.add_quality(quality)
    summary = summarize(recorder)
    assert summary["activity_correlation"] == pytest.approx(0.2)
    assert summary["null_activity_correlation"] == 0.01


def test_pixel_correlation_finds_the_better_estimate_at_a_longer_lag(
    recorder: Recorder,
):
    truth = np.stack([world.make_stimulus(i) for i in range(36)])
    rough = truth // 2 + np.random.default_rng(1).permutation(truth) // 2
    for i, image in enumerate(truth):
        recorder.add_stimulus(i, image)
    for newest in range(11, 36, 6):  # the older half of each window is right
        first = newest - 11
        window = np.concatenate([truth[first : first + 6], rough[first + 6 :][:6]])
        recorder.add_movie(world.make_movie_message(newest), window)
    correlation = summarize(recorder)["pixel_correlation"]
    expected = video_correlation(rough[9:36], truth[9:36])
    assert correlation["3"] == pytest.approx(expected, abs=0.05)
    assert correlation["final"] == pytest.approx(1)
    assert correlation["12"] > correlation["3"] + 0.1


@pytest.mark.parametrize("is_damaged", [False, True])
def test_correlation_where_the_neurons_look_ignores_other_pixels(
    recorder: Recorder, is_damaged: bool
):
    truth = np.stack([world.make_stimulus(i) for i in range(12)])
    half_wrong = truth.copy()
    half_wrong[:, :, 32:] = 0
    left = np.indices(world.IMAGE)[1] < 32
    recorder.add_quality(make_quality_with_field(encode_visual_field(left)))
    if is_damaged:
        recorder.add_quality(make_quality_with_field([5]))
    for i, image in enumerate(truth):
        recorder.add_stimulus(i, image)
    recorder.add_movie(world.make_movie_message(11, n_final=12), half_wrong)
    summary = summarize(recorder)
    assert summary["visual_field_correlation"]["final"] == pytest.approx(1)
    assert summary["pixel_correlation"]["final"] < 0.8


def make_quality_with_field(lengths: list[int]) -> messages.Quality:
    return messages.Quality(
        session="s",
        seq=0,
        t=0,
        encoder_frame=1,
        lag_s=0.2,
        shape=world.IMAGE,
        visual_field=lengths,
    )


def test_without_a_visual_field_only_the_whole_screen_is_compared(recorder: Recorder):
    truth = np.stack([world.make_stimulus(i) for i in range(12)])
    for i, image in enumerate(truth):
        recorder.add_stimulus(i, image)
    recorder.add_movie(world.make_movie_message(11, n_final=12), truth)
    summary = summarize(recorder)
    assert summary["visual_field_correlation"]["final"] is None
    assert summary["pixel_correlation"]["final"] == pytest.approx(1)


def test_pixel_correlation_of_a_long_session_uses_some_of_its_frames(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(summary_module, "MAX_FRAMES", 3)
    truth = np.stack([world.make_stimulus(i) for i in range(12)])
    for i, image in enumerate(truth):
        recorder.add_stimulus(i, image)
    recorder.add_movie(world.make_movie_message(11, n_final=12), truth)
    assert summarize(recorder)["pixel_correlation"]["final"] == pytest.approx(1)


def test_a_constant_movie_has_no_correlation(recorder: Recorder):
    recorder.add_stimulus(0, world.make_stimulus(0))
    recorder.add_movie(
        world.make_movie_message(11), np.full((12, *world.IMAGE), 127, np.uint8)
    )
    assert summarize(recorder)["pixel_correlation"]["final"] is None


def test_extra_figures_are_added(recorder: Recorder):
    recorder.add_health(world.make_health(peak_memory_mb=300))
    extra = {"frames_sent": 3600, "peak_memory_mb": {"display": 200.0}}
    summary = summarize(recorder, extra)
    assert summary["frames_sent"] == 3600
    assert summary["peak_memory_mb"] == {
        "daemon": 300,
        "inverter": None,
        "display": 200,
    }


def test_the_table_lists_unknown_figures(recorder: Recorder):
    console = Console(width=100, file=io.StringIO())
    console.print(make_summary_table(summarize(recorder, {"frames_sent": 3600})))
    text = console.file.getvalue()
    assert "frames_sent" in text
    assert "3600" in text
    assert "not known" in text
