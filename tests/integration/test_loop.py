"""The whole loop on a simulated session in real time, compared with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from rtrecon.config import EncoderSettings
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.session.session import Session
from rtrecon.session.summary import summarize_session
from rtrecon.simulate.session import SimulatedSession, start_message_fields
from rtrecon.testing.daemon_process import START_TIMEOUT_S, DaemonProcess, make_settings
from rtrecon.testing.simulated_microscope import (
    stream_and_receive,
)
from rtrecon.transport.senders import SessionSender
from tests.support.trained_encoder import N_NEURONS, make_new_session, rebuild_world

SECONDS = 9.0
SETTLED = 60  # frames; before them the baselines have not settled

CORRELATIONS = (
    "activity_correlation",
    "null_activity_correlation",
    "visual_field_correlation",
    "null_visual_field_correlation",
    "mean_frame_visual_field_correlation",
    "pixel_correlation",
    "null_pixel_correlation",
)
# The documented figures, and their parts.
FIGURES = {
    "frames_sent": (),
    "frames_received": (),
    "frames_processed": (),
    "gaps": ("network", "source", "repeated"),
    "latency_ms": ("frame_to_traces", "activity_to_movie", "frame_to_movie", "hop"),
    "realtime_factor": (),
    "steps_per_hop": (),
    "deadline_misses": (),
    "visual_field_correlation": ("3", "6", "12", "24", "final"),
    "pixel_correlation": ("3", "6", "12", "24", "final"),
    "activity_correlation": (),
    "null_activity_correlation": (),
    "peak_memory_mb": ("daemon", "inverter"),
}


@dataclass(frozen=True)
class Loop:
    """A simulated session, what the daemon published of it, and its recording."""

    truth: SimulatedSession
    daemon: DaemonProcess
    recording: Session
    sender: SessionSender

    def received(
        self, message_class: type
    ) -> list[tuple[messages.PublishedMessage, Array]]:
        return [
            (m, payload)
            for m, payload in self.daemon.received
            if isinstance(m, message_class)
        ]


@pytest.fixture(scope="module")
def loop(tmp_path_factory, small_checkpoint):
    folder = tmp_path_factory.mktemp("loop")
    truth = make_new_session(rebuild_world(small_checkpoint), SECONDS)
    settings = make_settings(
        folder, encoder=EncoderSettings(checkpoint=str(small_checkpoint))
    )
    sender = SessionSender(settings.network.frames, **start_message_fields(truth))
    try:
        with DaemonProcess(folder, settings) as daemon:
            assert sender.wait_for_daemon()
            stream_and_receive(truth, sender, daemon)
            n_complete = len(truth) - settings.traces.deconvolution_lag_frames
            # Less than a hop is left over, wherever the hops begin.
            last_hop = n_complete - settings.inversion.hop_frames
            daemon.wait_until(
                lambda: (
                    daemon.messages_of(messages.Movie)[-1].encoder_frame >= last_hop
                ),
                START_TIMEOUT_S,
            )
            last_t = daemon.messages_of(messages.Movie)[-1].t
            # The counts of every hop, the last one included.
            daemon.wait_until(lambda: daemon.newest_health("inverter").t > last_t)
            daemon.call("stop")
            daemon.process.wait()
            daemon.receive()
    finally:
        sender.close()
    (recording,) = daemon.recordings(sender.session)
    return Loop(truth, daemon, recording, sender)


def test_no_frame_is_lost_between_microscope_and_recording(loop):
    n, health = len(loop.truth), loop.daemon.newest_health()
    assert (loop.sender.n_sent, loop.sender.n_dropped) == (n, 0)
    assert (health.frames_received, health.frames_processed) == (n, n)
    assert (health.rejected_messages, health.gaps) == (0, messages.GapCounts())
    assert not any(health.lost.values())
    assert loop.recording.frames["frame"].tolist() == list(range(1, n + 1))
    assert (
        len(loop.daemon.events_named("session"))
        == len(loop.daemon.events_named("end"))
        == 1
    )


def test_estimated_shifts_follow_the_motion_of_the_brain(loop):
    found = np.stack([loop.recording.frames[f"shift_{axis}_px"] for axis in "yx"], 1)
    error = found - loop.truth.recording.shift_px
    # The template has a position of its own: a constant difference.
    error -= np.median(error, 0)
    assert np.abs(error).max() < 0.2
    assert loop.recording.frames["is_accepted"].all()


def test_traces_follow_the_calcium_of_the_neurons(loop):
    dff = loop.recording.frames.read_values()[SETTLED:, 2]
    calcium = loop.truth.recording.calcium[SETTLED:]
    pairs = zip(dff.T, calcium.T, strict=True)
    r = [np.corrcoef(ours, true)[0, 1] for ours, true in pairs]
    assert np.median(r) > 0.8
    assert np.percentile(r, 10) > 0.5  # some neurons are almost silent


def test_activity_is_assigned_to_the_right_frame(loop):
    table, lag = (
        loop.recording.activity,
        loop.daemon.settings.traces.deconvolution_lag_frames,
    )
    index = table["encoder_frame"].astype(int)
    assert index.tolist() == list(range(len(loop.truth) - lag))
    activity, spikes = table.read_values()[SETTLED:], loop.truth.response.spikes

    def r(late: int) -> float:
        caused = spikes[index[SETTLED:] - late]
        return np.corrcoef(activity.ravel(), caused.ravel())[0, 1]

    assert r(0) > 0.6
    assert r(0) == max(r(late) for late in range(-2, 6))


def test_behaviour_and_stimulus_are_recorded_at_their_frames(loop):
    stimulus = loop.recording.stimulus
    assert stimulus["encoder_frame"].tolist() == list(range(len(loop.truth)))
    assert np.array_equal(stimulus.read_values(), loop.truth.movie)
    t = loop.recording.behavior["t_microscope_s"]
    assert t == pytest.approx(np.arange(len(loop.truth)) / loop.truth.rate_hz)
    pupil = loop.recording.behavior["pupil_dilation"]
    assert pupil == pytest.approx(loop.truth.behavior.pupil_dilation)


def test_the_movie_is_published_hop_by_hop(loop):
    about, movies = loop.recording.about, loop.received(messages.Movie)
    index = np.array([message.encoder_frame for message, _ in movies])
    assert np.diff(index).min() >= about.hop_frames
    # A late inverter skips hops: the newest movie is the most useful one. It counts
    # them, but not the activity that had to wait for the reference.
    in_time = {
        m.encoder_frame for m, _ in loop.received(messages.Activity) if not m.is_backlog
    }
    skipped = in_time & {
        frame
        for before, after in pairwise(index)
        for frame in range(before + 1, after + 1 - about.hop_frames)
    }
    health = loop.daemon.newest_health("inverter")
    n_counted = about.hop_frames * health.deadline_misses + health.lost["activity"]
    assert len(skipped) <= n_counted
    assert index[-1] > len(loop.truth) - 2 * about.hop_frames
    for message, window in movies:
        assert window.shape == (about.window_frames, *about.stimulus_space.shape)
        assert (message.n_final, message.n_steps >= 1) == (about.hop_frames, True)
        assert message.t > message.t_frame
    assert np.std(movies[-1][1]) > 1  # not gray


def test_quality_is_published_with_the_movie(loop):
    qualities = loop.received(messages.Quality)
    assert len(qualities) >= len(loop.received(messages.Movie)) // 3
    maps = [payload for _, payload in qualities if payload.size]
    assert maps[0].shape == loop.recording.about.stimulus_space.shape
    assert 0 <= maps[0].min() < maps[0].max() <= 1
    last, _ = qualities[-1]
    figures = [last.metrics[name] for name in CORRELATIONS]
    figures += last.metrics_by_lag["pixel_correlation"].values()
    assert all(-1 <= figure <= 1 for figure in figures)
    about = loop.recording.about
    assert len(figures) == len(CORRELATIONS) + about.window_frames // about.hop_frames


def test_the_recording_holds_what_was_published(loop):
    recording = loop.recording
    for table, message_class in (
        (recording.activity, messages.Activity),
        (recording.movie, messages.Movie),
    ):
        received = loop.received(message_class)
        assert table["encoder_frame"].tolist() == [
            message.encoder_frame for message, _ in received
        ]
        assert np.array_equal(table.read_values(), [payload for _, payload in received])
    assert recording.quality == [
        message for message, _ in loop.received(messages.Quality)
    ]
    names = [event.name for event in recording.events]
    assert names == ["session", "reference", "end", "recorded", "shutdown"]
    assert {health.process for health in recording.health} == {"daemon", "inverter"}
    assert recording.about.neuron_ids == list(range(N_NEURONS))


def test_the_summary_has_all_documented_figures(loop):
    summary = summarize_session(loop.recording, {"frames_sent": loop.sender.n_sent})
    for name, parts in FIGURES.items():
        assert summary[name] is not None, name
        for part in parts:
            assert summary[name][part] is not None, (name, part)
    for percentiles in summary["latency_ms"].values():
        assert sorted(percentiles) == ["max", "p50", "p95", "p99"]
    assert summary["frames_processed"] == len(loop.truth)
    # Seconds of recording per second, up to the last frame of a running session: 1,
    # unless this computer was too busy to send in time.
    t_s, received_s = (
        loop.recording.frames[name] for name in ("t_microscope_s", "t_received_s")
    )
    factors = (t_s[1:] - t_s[0]) / (received_s[1:] - received_s[0])
    assert np.abs(factors - summary["realtime_factor"]).min() < 0.001
