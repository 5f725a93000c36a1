"""A replay waits where the daemon's queues are full; a live microscope never does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from rtrecon.config import RoiSettings, Settings
from rtrecon.daemon import image_plane, queue_limits
from rtrecon.daemon.daemon import Daemon
from rtrecon.replay.client import ReplayError
from rtrecon.replay.recording import replay_recording
from rtrecon.session.frame_balance import FrameBalance, balance_frames
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session, list_sessions
from rtrecon.testing.daemon_process import REPLY_TIMEOUT_S, make_settings
from rtrecon.testing.scanimage_file import write_scanimage
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SHAPE,
    make_small_frames,
    make_small_settings,
)
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.senders import SessionSender

N_FRAMES, MAX_QUEUED = 120, 30  # far more frames than the daemon can queue
OVER = ("idle", "refused")
BUILD_S = 0.5  # to build a reference; a replay has filled the queue by then


@dataclass
class SlowBuild:
    """How long a reference is built: until `is_over`, but at most `seconds`."""

    seconds: float = BUILD_S
    is_over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture(autouse=True)
def slow_build(monkeypatch: pytest.MonkeyPatch) -> SlowBuild:
    """A short queue, and a reference that is built slowly."""
    build_reference = image_plane.build_reference
    slow_build = SlowBuild()

    def build_slowly(*arguments: object) -> object:
        slow_build.is_over.wait(slow_build.seconds)
        return build_reference(*arguments)

    n_bytes = MAX_QUEUED * int(np.prod(SHAPE)) * 2
    monkeypatch.setattr(queue_limits, "MAX_PLANE_BYTES", n_bytes)
    monkeypatch.setattr(image_plane, "build_reference", build_slowly)
    return slow_build


@contextmanager
def run_daemon(settings: Settings) -> Iterator[Daemon]:
    """Run a daemon in a thread of this process, so that a test can change its limits.

    At the end it waits until the daemon has processed what was sent.
    """
    daemon = Daemon(settings, lambda sentence: None)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield daemon
        wait_until_idle(settings)
    finally:
        daemon.stop()
        thread.join(REPLY_TIMEOUT_S)
        daemon.close()


def wait_until_idle(settings: Settings) -> None:
    """Wait until the session is refused, or over and all its frames processed."""
    deadline_s = time.monotonic() + REPLY_TIMEOUT_S
    state = ""
    while state not in OVER and time.monotonic() < deadline_s:
        with suppress(RpcError):  # while the daemon warms up
            state = call_daemon(settings.network.control, "status")["state"]
        time.sleep(0.05)
    assert state in OVER


def read_balance(settings: Settings) -> tuple[FrameBalance, Session]:
    """Return what became of the frames of the only session, from its recording."""
    (path,) = list_sessions(Path(settings.recording.folder))
    session = Session(path)
    daemon = [health for health in session.health if health.process == "daemon"]
    return balance_frames(daemon[-1]), session


def write_recording(folder: Path) -> Path:
    frames = make_small_frames()
    pages = [frames[i % len(frames)] for i in range(N_FRAMES)]
    stamps = [(i + 1, i / RATE_HZ) for i in range(N_FRAMES)]
    return write_scanimage(folder / "recording.tif", pages, stamps)


@pytest.mark.parametrize("speed", [None, 100.0])
def test_a_replay_loses_no_frame_while_a_reference_is_built(tmp_path, speed):
    settings = make_small_settings(tmp_path)
    with run_daemon(settings):
        report = replay_recording(
            write_recording(tmp_path), settings.network.frames, speed=speed
        )
    assert (report.frames_sent, report.frames_dropped) == (N_FRAMES, 0)
    balance, session = read_balance(settings)
    assert (balance.n_sent, balance.n_processed) == (N_FRAMES, N_FRAMES)
    assert balance.losses == {}
    assert session.frames["frame"].tolist() == list(range(1, N_FRAMES + 1))


def test_a_replay_loses_no_row_to_a_slow_disk(tmp_path, monkeypatch):
    class SlowRecorder(Recorder):
        def _drain(self, writer):
            time.sleep(0.1)
            super()._drain(writer)

    monkeypatch.setattr("rtrecon.session.recorder.MAX_QUEUED_ITEMS", 40)
    monkeypatch.setattr("rtrecon.daemon.session_recording.Recorder", SlowRecorder)
    settings = make_small_settings(tmp_path)
    with run_daemon(settings):
        replay_recording(write_recording(tmp_path), settings.network.frames, speed=None)
    _, session = read_balance(settings)
    assert session.frames["frame"].tolist() == list(range(1, N_FRAMES + 1))
    assert {health.lost["record"] for health in session.health} == {0}


def test_a_live_microscope_never_waits_and_its_lost_frames_are_counted(
    tmp_path, slow_build
):
    """The reference is ready when all frames are sent: a sender that waits is late."""
    slow_build.seconds = REPLY_TIMEOUT_S
    settings = make_small_settings(tmp_path)
    frames = make_small_frames()
    sender = SessionSender(
        settings.network.frames, source="scope", rate_hz=RATE_HZ, shape=SHAPE
    )
    with run_daemon(settings):
        assert sender.wait_for_daemon()
        for number in range(1, 91):
            sender.send_frame(frames[number % 20], number, number / RATE_HZ)
            time.sleep(0.002)
        slow_build.is_over.set()
        sender.send_end("over")
        sender.close()
    balance, session = read_balance(settings)
    assert balance.n_sent == 90
    assert balance.losses["unusable for a reference"] >= 90 - MAX_QUEUED
    assert balance.n_sent == balance.n_processed + balance.n_lost
    assert balance.n_unexplained == 0
    assert len(session.frames) == balance.n_processed


def test_a_replay_ends_with_the_daemons_sentence_if_the_session_is_refused(tmp_path):
    settings = make_settings(tmp_path, rois=RoiSettings(unit_rates=True))
    network = settings.network
    words = "the daemon refuses the session: the sender sends images"
    with run_daemon(settings), pytest.raises(ReplayError, match=words):
        replay_recording(
            write_recording(tmp_path), network.frames, control=network.control
        )


def test_a_session_of_100000_units_is_processed(tmp_path):
    n_units, n_bins = 100_000, 5
    settings = make_settings(tmp_path, rois=RoiSettings(unit_rates=True))
    rates = np.random.default_rng(0).random((n_bins, n_units), np.float32)
    sender = SessionSender(
        settings.network.frames, source="t", rate_hz=30.0, unit_ids=range(n_units)
    )
    sender.queue_timeout_s = REPLY_TIMEOUT_S
    with run_daemon(settings):
        assert sender.wait_for_daemon()
        for number in range(n_bins):
            assert sender.send_frame(rates[number : number + 1], number, number / 30)
        assert sender.send_end("over")
        sender.close(REPLY_TIMEOUT_S)
    balance, session = read_balance(settings)
    assert (balance.n_processed, balance.losses) == (n_bins, {})
    assert session.about.neuron_ids == list(range(n_units))
    assert np.array_equal(session.activity.read_values(), rates)


def test_the_daemon_says_which_session_is_current(small_daemon):
    network = small_daemon.settings.network
    sender = SessionSender(network.frames, source="t", rate_hz=30.0, shape=SHAPE)
    try:
        assert sender.wait_for_daemon()
        small_daemon.wait_until(
            lambda: small_daemon.call("session", session=sender.session)["is_current"]
        )
        other = small_daemon.call("session", session="another")
        assert not other["is_current"]
        assert not other["is_refused"]
    finally:
        sender.close()
