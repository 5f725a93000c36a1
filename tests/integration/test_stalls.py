"""Senders and subscribers that freeze, flood or fall behind harm nobody else."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import psutil
import pytest
import zmq

from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import START_TIMEOUT_S, DaemonProcess
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SimulatedMicroscope,
    make_small_frames,
    make_small_settings,
)
from rtrecon.testing.tcp_sender import TcpSender
from rtrecon.transport import sockets
from rtrecon.transport.senders import SessionSender
from tests.support.changed_constants import ChangedDaemon
from tests.support.paths import BRIDGE

SENDER = BRIDGE / "python" / "sender.py"
STALL_TIMEOUT_S = 0.5
SHORTER = {
    "rtrecon.daemon.watchdog.STIMULUS_TIMEOUT_S": 1.0,
    "rtrecon.daemon.watchdog.BEHAVIOR_TIMEOUT_S": 1.0,
    "rtrecon.daemon.loss_monitor.EPISODE_END_S": 0.5,
}
LOAD_MARGIN_S = 10.0  # that the loop and a loaded machine may add
AUX_RATE_LIMIT_HZ = 100
BIG_SHAPE = (512, 512)
MIN_DROPPED = 150
FRAMES_AT_ONCE, MAX_FRAMES = 10, 5000
MAX_GROWTH_MB = 300.0  # by a flood; a queue of 100 such frames takes 50 MB

STREAM_CONDITIONS = {"stimulus gone", "pupil gone", "running gone"}

SUBSCRIBER = """
import sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.SUBSCRIBE, b"")
socket.connect(sys.argv[1])
while True:
    socket.recv_multipart()
    print("received", flush=True)
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stalls")
    settings = make_small_settings(folder)
    keys = {"idle_timeout_s": 60.0, "aux_rate_limit_hz": AUX_RATE_LIMIT_HZ}
    keys["stall_timeout_s"] = STALL_TIMEOUT_S
    network = settings.network.model_copy(update=keys)
    settings = settings.model_copy(update={"network": network})
    with ChangedDaemon(folder, settings, SHORTER) as daemon:
        yield daemon


@contextlib.contextmanager
def run_python(*arguments: object):
    """Run a Python program in the background; it is killed at the end."""
    command = [sys.executable, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield psutil.Process(process.pid), process.stdout
        finally:
            process.kill()


def read_silence_s(sentence: str) -> float:
    return float(re.search(r"for ([\d.]+) s", sentence)[1])


def test_a_frozen_sender_is_reported_and_its_session_continues(daemon, tmp_path):
    np.save(tmp_path / "movie.npy", np.tile(make_small_frames(), (200, 1, 1)))
    to = ("--address", daemon.settings.network.frames, "--rate", RATE_HZ)
    with run_python(SENDER, tmp_path / "movie.npy", *to) as (sender, _):
        daemon.wait_until(lambda: daemon.newest_health().state == "running")
        session = daemon.newest_health().session
        sender.suspend()
        daemon.wait_until(lambda: daemon.events_named("stalled"))
        daemon.wait_until(lambda: daemon.newest_health().state == "stalled")
        sender.resume()
        daemon.wait_until(lambda: daemon.events_named("resumed"))
        daemon.wait_until(lambda: daemon.newest_health().state == "running")
    (stalled,), (resumed,) = (
        daemon.events_named("stalled"),
        daemon.events_named("resumed"),
    )
    silence_s = read_silence_s(stalled.message)
    assert STALL_TIMEOUT_S <= silence_s < STALL_TIMEOUT_S + LOAD_MARGIN_S
    assert "is the sender frozen" in stalled.message
    assert "frames arrive again, after" in resumed.message
    assert {stalled.session, resumed.session} == {session}
    assert daemon.newest_health().session == session
    assert not daemon.events_named("silence")
    names = list[str]()

    def is_recorded() -> bool:
        (recording,) = daemon.recordings(session)  # anew: it reads its events once
        names[:] = [event.name for event in recording.events]
        return "resumed" in names

    daemon.wait_until(is_recorded)
    assert names.index("stalled") < names.index("resumed")


def test_streams_that_stop_are_conditions_until_they_are_back(daemon):
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(30)
        send_stimulus_and_behavior(microscope)
        microscope.send_frames_until(
            lambda: set(conditions(daemon)) == STREAM_CONDITIONS
        )
        assert conditions(daemon)["pupil gone"].startswith("no pupil size for ")

        def are_all_back() -> bool:
            send_stimulus_and_behavior(microscope)
            return not conditions(daemon)

        microscope.send_frames_until(are_all_back)
        session = microscope.session
    resumed = [
        event.message.partition(" arrives again")[0]
        for event in daemon.events_named("resumed")
        if event.session == session
    ]
    assert set(resumed) == {"the stimulus", "the pupil size", "the running speed"}


def test_a_lost_field_is_a_condition_until_it_is_found(daemon):
    with SimulatedMicroscope(daemon) as microscope:
        good = microscope.frames
        microscope.send_frames(60)
        rng = np.random.default_rng(0)
        microscope.frames = rng.integers(0, 900, good.shape).astype(good.dtype)
        send_fast_until(microscope, lambda: "field lost" in conditions(daemon))
        assert "is this the field of the" in conditions(daemon)["field lost"]
        microscope.frames = good
        send_fast_until(microscope, lambda: not conditions(daemon))
    lost, found = [event.message for event in daemon.events_named("field")][-2:]
    assert lost.startswith("frames have been rejected for ")
    assert found.startswith("frames match again, after ")


def send_fast_until(
    microscope: SimulatedMicroscope, condition: Callable[[], bool]
) -> None:
    """Send frames as fast as the daemon takes them, until the condition holds."""
    for _ in range(MAX_FRAMES // FRAMES_AT_ONCE):
        if condition():
            return
        microscope.send_frames(FRAMES_AT_ONCE)
        microscope.daemon.receive(0.01)
    raise AssertionError(f"the condition did not hold after {MAX_FRAMES} frames")


def send_stimulus_and_behavior(microscope: SimulatedMicroscope) -> None:
    image, t_s = np.zeros((36, 64), np.uint8), microscope.n_sent / RATE_HZ
    for i in range(3):
        microscope.sender.send_stimulus(image, "clip", i, t_s)
        microscope.sender.send_behavior(t_s, pupil_dilation=1.0, running_speed=0.0)


def conditions(daemon: DaemonProcess) -> dict[str, str]:
    health = daemon.newest_health()
    return health.conditions if health else {}


def test_a_frozen_subscriber_delays_nobody(daemon):
    with (
        run_python("-c", SUBSCRIBER, daemon.settings.network.publish) as (
            subscriber,
            lines,
        ),
        SimulatedMicroscope(daemon) as microscope,
    ):
        microscope.send_frames(30)
        assert lines.readline() == b"received\n"
        subscriber.suspend()
        microscope.send_frames(300)
        health = microscope.wait_until_processed()
    assert (health.frames_processed, health.gaps) == (330, messages.GapCounts())
    assert not health.lost["publish"]


def test_a_frozen_subscriber_alone_loses_messages(free_address):
    address, burst = free_address(), 4 * sockets.PUBLISH_QUEUE
    with zmq.Context() as context:
        pub = sockets.bind_socket(context, zmq.PUB, address)
        frozen = sockets.connect_socket(context, zmq.SUB, address)
        while not frozen.poll(20):
            pub.send(b"hello")
        for _ in range(burst):
            pub.send(bytes(10_000), zmq.DONTWAIT)
        n_received = 0
        while frozen.poll(500):
            n_received += len(frozen.recv()) == 10_000
        assert 0 < n_received < burst
        pub.close()
        frozen.close()


@pytest.mark.parametrize("transport", ["ZeroMQ", "framed TCP"])
def test_frames_beyond_the_capacity_are_dropped_by_the_sender_and_counted(
    daemon, transport
):
    before_mb = daemon.newest_health().peak_memory_mb
    frames = np.random.default_rng(0).integers(0, 900, (4, *BIG_SHAPE)).astype(np.int16)
    number = 0

    def send_next() -> bool:
        nonlocal number
        number += 1
        return sender.send_frame(frames[number % 4], number, number / RATE_HZ)

    with connect_sender(daemon, transport) as sender:
        while not is_running(daemon, sender.session):
            send_next()
            daemon.receive(1 / RATE_HZ)
        while sender.n_dropped < MIN_DROPPED:
            send_next()
        while not send_next():  # the next frame reports how many were dropped
            daemon.receive(1 / RATE_HZ)
        daemon.wait_until(
            lambda: daemon.newest_health().frames_processed == sender.n_sent,
            START_TIMEOUT_S,
        )
    health = daemon.newest_health()
    assert health.frames_received == sender.n_sent
    assert health.lost["sender"] == sender.n_dropped >= MIN_DROPPED
    assert health.gaps.network == 0
    assert health.gaps.source == number - sender.n_sent
    # The first loss is reported at once, the sum when no other follows.
    daemon.wait_until(
        lambda: (
            sum(event.value for event in daemon.events_named("gap"))
            >= health.gaps.source
        )
    )
    assert health.peak_memory_mb < before_mb + MAX_GROWTH_MB


def is_running(daemon: DaemonProcess, session: str) -> bool:
    health = daemon.newest_health()
    return (health.session, health.state) == (session, "running")


@contextlib.contextmanager
def connect_sender(daemon: DaemonProcess, transport: str):
    """A sender that never waits, like one at a microscope."""
    to = daemon.settings.network
    if transport == "framed TCP":
        with TcpSender(to.tcp) as sender:
            sender.send_start(BIG_SHAPE)
            yield sender
        return
    sender = SessionSender(to.frames, source="flood", rate_hz=RATE_HZ, shape=BIG_SHAPE)
    assert sender.wait_for_daemon()
    yield sender
    sender.close()


def test_a_flood_of_sync_messages_is_refused_and_counted(daemon):
    with SimulatedMicroscope(daemon) as microscope, zmq.Context() as context:
        flood = sockets.connect_socket(
            context, zmq.PUSH, daemon.settings.network.frames
        )
        for seq in range(20 * AUX_RATE_LIMIT_HZ):
            sync = messages.SyncEdge(
                session="flood", seq=seq, t=0.0, t_send=0, line=0, value=0
            )
            flood.send_multipart(messages.encode_incoming(sync))
            if seq % 20 == 0:
                microscope.send_frames(1)
        flood.close()
        daemon.wait_until(
            lambda: daemon.newest_health().frames_processed == microscope.n_sent,
            START_TIMEOUT_S,
        )
        daemon.wait_until(lambda: daemon.newest_health().rejected_messages > 0)
    sentences = [event.message for event in daemon.events_named("refused")]
    assert any(
        "more than 100 stimulus, behaviour and sync" in text for text in sentences
    )
    assert daemon.newest_health().gaps == messages.GapCounts()
