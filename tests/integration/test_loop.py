"""The whole loop on a simulated session in real time, against the simulator's truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from rtrecon.config import EncoderSettings
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.session.session import Session as Record
from rtrecon.session.summary import summarise
from rtrecon.simulate.session import Session, start_fields
from rtrecon.testing.daemon_process import (
    RATE_HZ,
    SLOW_S,
    Daemon,
    Scope,
    settings_in,
    show,
    small_settings,
)
from rtrecon.transport.sender import Sender
from tests.support.trained_encoder import N_NEURONS, new_session, world_of

SECONDS = 13.0
SETTLED = 60  # frames; until then baselines are finding their level

CORRELATIONS = (
    "activity_correlation",
    "null_correlation",
    "pixel_correlation",
    "null_pixel_correlation",
)
# The figures that are promised, and their parts.
FIGURES = {
    "frames_sent": (),
    "frames_received": (),
    "frames_processed": (),
    "gaps": ("wire", "source", "repeats"),
    "latency_ms": ("frame_to_traces", "activity_to_movie", "frame_to_movie", "hop"),
    "realtime_factor": (),
    "steps_per_hop": (),
    "deadline_misses": (),
    "pixel_correlation": ("3", "6", "12", "24", "final"),
    "activity_correlation": (),
    "null_correlation": (),
    "peak_memory_mb": ("front", "inverter"),
}


@dataclass(frozen=True)
class Loop:
    """What was shown, what the daemon published of it, what it recorded."""

    truth: Session
    daemon: Daemon
    record: Record
    sender: Sender

    def heard(self, kind: type) -> list[tuple[messages.Published, Array]]:
        return [(m, payload) for m, payload in self.daemon.heard if isinstance(m, kind)]


@pytest.fixture(scope="module")
def loop(tmp_path_factory, small_checkpoint):
    folder = tmp_path_factory.mktemp("loop")
    truth = new_session(world_of(small_checkpoint), SECONDS)
    settings = settings_in(
        folder, encoder=EncoderSettings(checkpoint=str(small_checkpoint))
    )
    sender = Sender(settings.wire.frames, **start_fields(truth))
    try:
        with Daemon(folder, settings) as daemon:
            assert sender.wait_for_daemon()
            show(truth, sender, daemon)
            settled = len(truth) - settings.traces.deconvolve_lag_frames
            # Less than a hop is left over; where hops begin, chance decides.
            last_hop = settled - settings.invert.hop_frames
            daemon.until(
                lambda: daemon.all(messages.Movie)[-1].index >= last_hop, SLOW_S
            )
            daemon.ask("stop")
            daemon.process.wait()
            daemon.listen()
    finally:
        sender.close()
    (record,) = daemon.records(sender.session)
    return Loop(truth, daemon, record, sender)


def test_no_frame_is_lost_between_microscope_and_record(loop):
    n, health = len(loop.truth), loop.daemon.health()
    assert (loop.sender.sent, loop.sender.dropped) == (n, 0)
    assert (health.frames_received, health.frames_processed) == (n, n)
    assert (health.rejected, health.gaps) == (0, messages.Gaps())
    assert not any(health.lost.values())
    assert loop.record.frames["frame"].tolist() == list(range(1, n + 1))
    assert len(loop.daemon.events("session")) == len(loop.daemon.events("end")) == 1


def test_shifts_are_those_of_the_brain(loop):
    found = np.stack([loop.record.frames[f"shift_{axis}_px"] for axis in "yx"], 1)
    error = found - loop.truth.recording.shift_px
    # Where rest is differs by a constant: the template has its own.
    error -= np.median(error, 0)
    assert np.abs(error).max() < 0.2
    assert loop.record.frames["trusted"].all()


def test_traces_follow_the_neurons(loop):
    dff = loop.record.frames.values()[SETTLED:, 2]
    calcium = loop.truth.recording.calcium[SETTLED:]
    pairs = zip(dff.T, calcium.T, strict=True)
    r = [np.corrcoef(ours, true)[0, 1] for ours, true in pairs]
    assert np.median(r) > 0.8
    assert np.percentile(r, 10) > 0.5  # some are all but silent


def test_activity_belongs_to_the_frame_that_it_is_given_to(loop):
    table, lag = loop.record.activity, loop.daemon.settings.traces.deconvolve_lag_frames
    index = table["index"].astype(int)
    assert index.tolist() == list(range(len(loop.truth) - lag))
    activity, spikes = table.values()[SETTLED:], loop.truth.response.spikes

    def r(late: int) -> float:
        caused = spikes[index[SETTLED:] - late]
        return np.corrcoef(activity.ravel(), caused.ravel())[0, 1]

    assert r(0) > 0.6
    assert r(0) == max(r(late) for late in range(-2, 6))


def test_behaviour_and_stimulus_lie_at_their_frames(loop):
    shown = loop.record.stimulus
    assert shown["index"].tolist() == list(range(len(loop.truth)))
    assert np.array_equal(shown.values(), loop.truth.movie)
    t = loop.record.behavior["t"]
    assert t == pytest.approx(np.arange(len(loop.truth)) / loop.truth.rate_hz)
    pupil = loop.record.behavior["pupil_dilation"]
    assert pupil == pytest.approx(loop.truth.behavior.pupil_dilation)


def test_the_movie_comes_hop_by_hop(loop):
    about, movies = loop.record.about, loop.heard(messages.Movie)
    index = np.array([message.index for message, _ in movies])
    # The oldest hop may be skipped, for the newest movie is what is waited for.
    assert np.percentile(np.diff(index), 95) <= 2 * about.hop_frames
    assert index[-1] > len(loop.truth) - 2 * about.hop_frames
    for message, window in movies:
        assert window.shape == (about.window_frames, *about.image_shape)
        assert (message.final, message.steps >= 1) == (about.hop_frames, True)
        assert 0 < message.t - message.t_frame < 2
    assert np.std(movies[-1][1]) > 1  # not gray


def test_how_far_to_trust_it_comes_with_it(loop):
    told = loop.heard(messages.Quality)
    assert len(told) >= len(loop.heard(messages.Movie)) // 3
    maps = [payload for _, payload in told if payload.size]
    assert maps[0].shape == loop.record.about.image_shape
    assert 0 <= maps[0].min() < maps[0].max() <= 1
    last, _ = told[-1]
    figures = [getattr(last, name) for name in CORRELATIONS]
    figures += last.pixel_correlation_by_lag.values()
    assert all(-1 <= figure <= 1 for figure in figures)
    about = loop.record.about
    assert len(figures) == len(CORRELATIONS) + about.window_frames // about.hop_frames


def test_what_was_heard_is_what_is_recorded(loop):
    record = loop.record
    for table, kind in (
        (record.activity, messages.Activity),
        (record.movie, messages.Movie),
    ):
        heard = loop.heard(kind)
        assert table["index"].tolist() == [message.index for message, _ in heard]
        assert np.array_equal(table.values(), [payload for _, payload in heard])
    assert record.quality == [message for message, _ in loop.heard(messages.Quality)]
    names = [event.name for event in record.events]
    assert names == ["session", "reference", "end", "shutdown"]
    assert {health.station for health in record.health} == {"front", "inverter"}
    assert record.about.neuron_ids == list(range(N_NEURONS))


def test_the_summary_knows_every_figure(loop):
    summary = summarise(loop.record, {"frames_sent": loop.sender.sent})
    for name, parts in FIGURES.items():
        assert summary[name] is not None, name
        for part in parts:
            assert summary[name][part] is not None, (name, part)
    for percentiles in summary["latency_ms"].values():
        assert sorted(percentiles) == ["max", "p50", "p95", "p99"]
    assert summary["frames_processed"] == len(loop.truth)
    assert summary["realtime_factor"] == pytest.approx(1, abs=0.05)


# -- sessions that do not begin and end as they should; no encoder --------------------


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions")
    with Daemon(folder, small_settings(folder)) as daemon:
        yield daemon


def numbers(daemon: Daemon, scope: Scope) -> list[float]:
    """The frames that the only recording of this session holds."""
    (record,) = daemon.records(scope.session)
    return record.frames["frame"].tolist()


def test_a_daemon_that_comes_late_learns_the_session(tmp_path):
    settings = small_settings(tmp_path)
    with (
        Daemon(tmp_path, settings, wait=False) as late,
        Scope(late, wait=False) as scope,
    ):
        scope.scan_until(lambda: late.events("session"), SLOW_S)
        scope.scan_until(
            lambda: late.health() and late.health().frames_processed >= 30, SLOW_S
        )
        late.until(lambda: numbers(late, scope)[-1:] == [scope.sent])
        late.until(lambda: late.health().state == "idle")
    first = int(numbers(late, scope)[0])
    assert numbers(late, scope) == list(range(first, scope.sent + 1))
    # Before: dropped where nobody was, then refused until the start came again.
    assert 0 < scope.sender.dropped < first
    assert first - scope.sender.dropped < 1.5 * RATE_HZ
    health = late.health()
    assert health.lost["sender"] == scope.sender.dropped
    assert health.frames_received == health.frames_processed == scope.sent + 1 - first
    assert health.gaps.source == 0


def test_a_sender_that_vanishes_ends_its_session_by_silence(daemon):
    with Scope(daemon) as scope:
        scope.scan(50)
        scope.until_processed()
    # Gone, without a word.
    daemon.until(lambda: daemon.health().state == "idle")
    assert daemon.events("silence")[-1].session == scope.session
    assert not [e for e in daemon.events("end") if e.session == scope.session]
    daemon.until(lambda: numbers(daemon, scope) == list(range(1, 51)))
    assert daemon.records(scope.session)[0].events[-1].name == "silence"


def test_a_new_session_ends_the_old_one(daemon):
    with Scope(daemon) as old:
        old.scan(30)
        old.until_processed()
        with Scope(daemon) as new:
            new.scan(30)
            new.until_processed()
            old.scan(10)  # too late
            daemon.until(lambda: daemon.health().rejected >= 10)
            new.scan(10)
            daemon.until(lambda: daemon.health().frames_processed == 40)
            health = daemon.health()
    assert health.gaps == messages.Gaps()
    daemon.until(lambda: numbers(daemon, new) == list(range(1, 41)))
    assert numbers(daemon, old) == list(range(1, 31))
    refused = [e.message for e in daemon.events("refused") if e.session == new.session]
    assert any("session that has not started" in sentence for sentence in refused)
