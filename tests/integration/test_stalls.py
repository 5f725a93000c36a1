"""Who freezes, floods or falls behind: noticed, counted, and no harm to the others."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys

import numpy as np
import psutil
import pytest
import zmq

from rtrecon.config import EncoderSettings
from rtrecon.daemon.rate_limits import MAX_SENDERS, SESSIONS_AT_ONCE, Limit, Limits
from rtrecon.daemon.watchdog import INVERTER_S, Stall, Watch
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import (
    RATE_HZ,
    SLOW_S,
    Daemon,
    Scope,
    settings_in,
    small_frames,
    small_settings,
)
from rtrecon.testing.framed_sender import FramedSender
from rtrecon.transport import sockets
from rtrecon.transport.sender import Sender
from tests.support.paths import BRIDGE

SENDER = BRIDGE / "python" / "sender.py"
NOTICED_S = 2.0  # within which somebody frozen has to be
LATE_S = 1.0  # that a loaded machine may add
ASIDES_HZ = 100
BIG = (512, 512)
MOST_MORE_MB = 300.0  # than before a flood: queues of 100 such frames are 50

LISTENER = """
import sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.SUBSCRIBE, b"")
socket.connect(sys.argv[1])
while True:
    socket.recv_multipart()
    print("heard", flush=True)
"""


# -- without a clock -------------------------------------------------------------------


def test_a_stall_is_told_once_and_so_is_its_end():
    stall = Stall(1.5)
    assert stall.check(100.0) is None  # nothing was expected yet
    assert stall.came(100.0) is None
    assert stall.check(101.4) is None
    assert stall.check(101.5) == pytest.approx(1.5)
    assert stall.check(103.0) is None
    assert stall.came(104.0) == pytest.approx(4.0)
    assert stall.came(104.1) is None
    stall.rest()
    assert stall.check(1000.0) is None


def test_a_slow_microscope_is_given_three_periods():
    watch = Watch(1.5)
    for rate_hz, after_s in ((30.0, 1.5), (0.5, 6.0)):
        watch.begin(rate_hz)
        watch.frame(10.0)
        assert not watch.notices(10.0 + after_s - 0.01)
        ((name, sentence),) = watch.notices(10.0 + after_s)
        assert (name, watch.frames.is_told) == ("stalled", True)
        assert sentence.startswith(f"no frame for {after_s:.1f} s")
        watch.frame(20.0)
        assert watch.notices(20.0) == [("resumed", "frames come again, after 10.0 s")]


def test_each_sender_has_its_own_limit_and_gains_it_back():
    limit = Limit(10.0, at_once=5.0)
    for sender in ("one", "two"):
        assert [limit.allows(sender, 0.0) for _ in range(7)] == 5 * [True] + 2 * [False]
    assert [limit.allows("one", 0.25) for _ in range(4)] == 2 * [True] + 2 * [False]


def test_a_flood_of_names_is_one_sender():
    limit = Limit(1.0, at_once=2.0)
    allowed = [limit.allows(f"sender {i}", 0.0) for i in range(1000)]
    assert sum(allowed) == MAX_SENDERS + 2
    assert limit.allows("somebody after a pause", 60.0)


def test_frames_have_no_limit_and_what_goes_beside_them_has():
    limits = Limits(asides_hz=3.0)
    fields = {"session": "s", "seq": 0, "t": 0.0, "t_send": 0.0}
    frame = messages.Frame(**fields, frame=1, shape=(2, 2))
    sync = messages.Sync(**fields, line=0, value=1)
    assert not any(limits.refusal(frame, 0.0) for _ in range(1000))
    refusals = [limits.refusal(sync, 0.0) for _ in range(5)]
    assert refusals[:3] == ["", "", ""]
    assert "more than 3 stimulus, behaviour and sync messages per s" in refusals[3]


def test_sessions_that_begin_again_and_again_are_refused():
    limits = Limits(asides_hz=1.0)

    def start(session: str) -> str:
        fields = {"source": "s", "rate_hz": 30.0, "shape": (2, 2)}
        return limits.refusal(messages.Start(session=session, seq=0, **fields), 0.0)

    refusals = [start(str(i)) for i in range(2 * SESSIONS_AT_ONCE)]
    assert refusals.count("") == SESSIONS_AT_ONCE
    newest = str(SESSIONS_AT_ONCE - 1)
    assert not any(start(newest) for _ in range(100))  # said again, as it should be


# -- a daemon --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stalled")
    settings = small_settings(folder)
    own = {"idle_timeout_s": 60.0, "asides_hz": ASIDES_HZ}
    patient = settings.wire.model_copy(update=own)
    with Daemon(folder, settings.model_copy(update={"wire": patient})) as daemon:
        yield daemon


@contextlib.contextmanager
def background(*arguments: object):
    """A Python program beside this one, ended on leaving."""
    command = [sys.executable, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield psutil.Process(process.pid), process.stdout
        finally:
            process.kill()


def silent_s(sentence: str) -> float:
    return float(re.search(r"for ([\d.]+) s", sentence)[1])


def test_a_frozen_sender_is_noticed_and_its_session_goes_on(daemon, tmp_path):
    np.save(tmp_path / "movie.npy", np.tile(small_frames(), (200, 1, 1)))
    to = ("--address", daemon.settings.wire.frames, "--rate", RATE_HZ)
    with background(SENDER, tmp_path / "movie.npy", *to) as (sender, _):
        daemon.until(lambda: daemon.health().state == "running")
        session = daemon.health().session
        sender.suspend()
        daemon.until(lambda: daemon.events("stalled"))
        daemon.until(lambda: daemon.health().state == "stalled")
        sender.resume()
        daemon.until(lambda: daemon.events("resumed"))
        daemon.until(lambda: daemon.health().state == "running")
    (stalled,), (resumed,) = daemon.events("stalled"), daemon.events("resumed")
    assert 1.5 <= silent_s(stalled.message) < NOTICED_S + LATE_S
    assert "is the sender frozen" in stalled.message
    assert "frames come again, after" in resumed.message
    assert {stalled.session, resumed.session} == {session}
    assert daemon.health().session == session
    assert not daemon.events("silence")
    (record,) = daemon.records(session)
    told = [event.name for event in record.events]
    assert told.index("stalled") < told.index("resumed")


def test_a_frozen_listener_holds_nobody_up(daemon):
    with (
        background("-c", LISTENER, daemon.settings.wire.publish) as (listener, words),
        Scope(daemon) as scope,
    ):
        scope.scan(30)
        assert words.readline() == b"heard\n"
        listener.suspend()
        scope.scan(300)
        health = scope.until_processed()
    assert (health.frames_processed, health.gaps) == (330, messages.Gaps())
    assert not health.lost["publish"]


def test_what_a_frozen_listener_does_not_take_is_lost_to_it_alone(free_address):
    address, burst = free_address(), 4 * sockets.PUBLISH_HWM
    with zmq.Context() as context:
        pub = sockets.bind(context, zmq.PUB, address)
        frozen = sockets.connect(context, zmq.SUB, address)
        while not frozen.poll(20):
            pub.send(b"hello")
        for _ in range(burst):
            pub.send(bytes(10_000), zmq.DONTWAIT)
        heard = 0
        while frozen.poll(500):
            heard += len(frozen.recv()) == 10_000
        assert 0 < heard < burst
        pub.close()
        frozen.close()


@pytest.mark.parametrize("transport", ["ZeroMQ", "framed TCP"])
def test_too_many_frames_are_lost_at_the_source_and_counted(daemon, transport):
    before_mb = daemon.health().peak_memory_mb
    frames = np.random.default_rng(0).integers(0, 900, (4, *BIG)).astype(np.int16)
    number = 0

    def scan() -> bool:
        nonlocal number
        number += 1
        return sender.frame(frames[number % 4], number, number / RATE_HZ)

    with sending(daemon, transport) as sender:
        while not is_running(daemon, sender.session):
            scan()
            daemon.listen(1 / RATE_HZ)
        while sender.dropped < 300:
            scan()
        while not scan():  # one more has to arrive, that says how many were dropped
            daemon.listen(1 / RATE_HZ)
        daemon.until(lambda: daemon.health().frames_processed == sender.sent, SLOW_S)
    health = daemon.health()
    assert health.frames_received == sender.sent
    assert health.lost["sender"] == sender.dropped >= 300
    assert health.gaps.wire == 0
    assert health.gaps.source == number - sender.sent
    assert sum(event.value for event in daemon.events("gap")) >= health.gaps.source
    assert health.peak_memory_mb < before_mb + MOST_MORE_MB


def is_running(daemon: Daemon, session: str) -> bool:
    health = daemon.health()
    return (health.session, health.state) == (session, "running")


@contextlib.contextmanager
def sending(daemon: Daemon, transport: str):
    """A sender beside a microscope: it never waits."""
    to = daemon.settings.wire
    if transport == "framed TCP":
        with FramedSender(to.tcp) as sender:
            sender.start(BIG)
            yield sender
        return
    sender = Sender(to.frames, source="flood", rate_hz=RATE_HZ, shape=BIG)
    assert sender.wait_for_daemon()
    yield sender
    sender.close()


def test_a_flood_beside_the_frames_is_refused_and_counted(daemon):
    with Scope(daemon) as scope, zmq.Context() as context:
        flood = sockets.connect(context, zmq.PUSH, daemon.settings.wire.frames)
        for seq in range(20 * ASIDES_HZ):
            sync = messages.Sync(
                session="flood", seq=seq, t=0.0, t_send=0, line=0, value=0
            )
            flood.send_multipart(messages.encode(sync))
            if seq % 20 == 0:
                scope.scan(1)
        flood.close()
        daemon.until(lambda: daemon.health().frames_processed == scope.sent, SLOW_S)
        daemon.until(lambda: daemon.health().rejected > 0)
    told = [event.message for event in daemon.events("refused")]
    assert any("more than 100 stimulus, behaviour and sync" in word for word in told)
    assert daemon.health().gaps == messages.Gaps()


def test_a_frozen_inverter_is_noticed(tmp_path):
    settings = settings_in(tmp_path, encoder=EncoderSettings(checkpoint="demo"))
    with Daemon(tmp_path, settings) as daemon:
        pid = daemon.ask("status")["inverter_pid"]
        psutil.Process(pid).suspend()
        daemon.until(lambda: daemon.events("stalled"))
        psutil.Process(pid).resume()
        daemon.until(lambda: daemon.events("resumed"))
        assert daemon.ask("status")["inverter_pid"] == pid
    (stalled,), (resumed,) = daemon.events("stalled"), daemon.events("resumed")
    assert "no word of the inverter" in stalled.message
    assert INVERTER_S <= silent_s(stalled.message) < INVERTER_S + LATE_S
    assert "the inverter is back" in resumed.message
