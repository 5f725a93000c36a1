"""Clock alignment through the daemon: a stimulus program with a clock of its own."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.session.summary import summarize_session
from rtrecon.simulate.clocks import SimulatedClock
from rtrecon.testing.daemon_process import DaemonProcess
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SimulatedMicroscope,
    make_small_settings,
)
from rtrecon.transport.senders import AuxiliarySender

PROGRAM_CLOCK = SimulatedClock(777.0, 0.0)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A stimulus program with a clock of its own, and a camera with the wall clock."""
    folder = tmp_path_factory.mktemp("clocks")
    settings = make_small_settings(folder)
    with (
        DaemonProcess(folder, settings) as daemon,
        SimulatedMicroscope(daemon) as scope,
        AuxiliarySender(settings.network.frames) as stimulus,
        AuxiliarySender(settings.network.frames) as camera,
    ):
        scope.send_frames(1)
        for program in (stimulus, camera):
            daemon.wait_until(lambda program=program: send_unmatched_edge(program))
        for k in range(30):
            send_second(scope, stimulus, camera, k)
        scope.wait_until_processed()
        daemon.wait_until(lambda: "clock_error" in daemon.newest_health().latency_ms)
        assert daemon.call("stop")["ok"]
        daemon.process.wait()
        (record,) = daemon.recordings(scope.session)
    return record, daemon


def send_unmatched_edge(program: AuxiliarySender) -> bool:
    """Send an edge without a match; return whether the daemon accepted it."""
    return program.send(messages.SyncEdge, t_send=0.0, line=9, value=9)


def send_second(
    scope: SimulatedMicroscope,
    stimulus: AuxiliarySender,
    camera: AuxiliarySender,
    k: int,
) -> None:
    """Send pupil size, an edge that both see, a stimulus image; then one frame."""

    def send(
        program: AuxiliarySender, kind: type, *image: np.ndarray, **fields: object
    ) -> None:
        scope.daemon.wait_until(lambda: program.send(kind, *image, **fields))

    t = scope.n_sent / RATE_HZ
    program_s = float(PROGRAM_CLOCK.clock_time(np.array(t)))
    image = np.full((36, 64), k, np.uint8)
    scope.sender.send_sync_edge(t, line=1, value=k)
    send(stimulus, messages.SyncEdge, t_send=program_s, line=1, value=k)
    shown = {"t_send": program_s, "clip": "c", "index": k, "shape": image.shape}
    send(stimulus, messages.StimulusFrame, image, **shown)
    send(camera, messages.BehaviorSample, t_send=time.time(), pupil_dilation=float(k))
    scope.send_frames(1)


def test_edges_place_a_stimulus_at_its_frame(session):
    record, _ = session
    index, images = record.stimulus["encoder_frame"], record.stimulus.read_values()
    assert index[-20:] == pytest.approx(images[-20:, 0, 0] + 1)


def test_behavior_times_are_converted_to_the_microscopes_clock(session):
    record, _ = session
    behavior = record.behavior
    assert behavior["pupil_dilation"].tolist() == list(range(30))
    assert (behavior["t_microscope_s"] < record.frames["t_microscope_s"][-1] + 60).all()


def test_every_edge_is_recorded_once_per_program(session):
    record, _ = session
    sync = record.sync
    line, has_time = sync["line"] == 1, np.isfinite(sync["t_microscope_s"])
    microscope, program = line & has_time, line & ~has_time
    assert sync["value"][microscope].tolist() == sync["value"][program].tolist()
    assert sync["value"][microscope].tolist() == list(range(30))
    difference_s = sync["t_sent_s"][program] - sync["t_microscope_s"][microscope]
    assert difference_s == pytest.approx(PROGRAM_CLOCK.offset_s)


def test_the_summary_gives_the_error_of_the_clocks(session):
    record, daemon = session
    error = daemon.newest_health().latency_ms["clock_error"]
    summary = summarize_session(record)["clock_error_ms"]
    if error.n:
        assert summary["p50"] == pytest.approx(error.p50)
    else:
        assert summary is None
