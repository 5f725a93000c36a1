"""One session follows another while frames of the first are still queued."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager

import zmq

from rtrecon.protocol import messages
from rtrecon.session.frame_balance import balance_frames
from rtrecon.testing.simulated_microscope import SHAPE, SimulatedMicroscope
from rtrecon.transport import sockets
from tests.support.daemon_checks import list_recorded_frames

ARRIVAL_S = 0.5  # messages of two senders arrive in the order in which they were sent
START = messages.encode_incoming(
    messages.SessionStart(session="new", seq=0, source="x", rate_hz=30, shape=SHAPE)
)


def unreadable_frame(session: str) -> list[bytes]:
    """Return a frame whose header is no JSON, but names its session."""
    return [b'{"type": "frame", "session": "%s", "t": NaN}' % session.encode(), b""]


@contextmanager
def pause_process(daemon):
    """Let messages queue up, as they do while a daemon is busy."""
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def newest_health_of(daemon, session):
    """Return the daemon's last health message of this session."""
    return [
        health
        for health in daemon.messages_of(messages.Health)
        if (health.process, health.session) == ("daemon", session)
    ][-1]


def test_each_session_records_its_queued_frames_and_counts_no_others(small_daemon):
    daemon = small_daemon
    new = SimulatedMicroscope(daemon)
    with SimulatedMicroscope(daemon) as old:
        old.send_frames(30)
        old.wait_until_processed()
        # Connects the new sender; its session starts later.
        daemon.wait_until(lambda: new.sender.send_behavior(0.0, running_speed=1.0))
        with pause_process(daemon):
            for _ in range(20):
                old.send_next_frame()
                new.send_next_frame()
            old.sender.send_end("done")
        with new:
            new.send_frames(10)
            new.wait_until_processed()
    for microscope, count in ((old, 50), (new, 30)):
        numbers = list(range(1, count + 1))
        assert_counts(newest_health_of(daemon, microscope.session), count)
        daemon.wait_until(
            lambda session=microscope.session, numbers=numbers: (
                list_recorded_frames(daemon, session) == numbers
            )
        )


def assert_counts(health, n_frames):
    assert (health.frames_received, health.frames_processed) == (n_frames, n_frames)
    assert (health.rejected_messages, sum(health.lost.values())) == (0, 0)
    balance = balance_frames(health)
    assert (balance.n_sent, balance.n_lost, balance.n_unexplained) == (n_frames, 0, 0)


def test_frames_that_arrive_after_their_session_count_in_no_other(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as old:
        old.send_frames(30)
        old.wait_until_processed()
        with SimulatedMicroscope(daemon) as new:
            new.send_frames(30)
            new.wait_until_processed()
            old.send_frames(10)
            daemon.wait_until(
                lambda: newest_health_of(daemon, new.session).rejected_messages >= 10
            )
    health = newest_health_of(daemon, new.session)
    assert (health.frames_received, health.frames_processed) == (30, 30)
    assert sum(health.lost.values()) == 0
    balance = balance_frames(health)
    assert (balance.n_sent, balance.n_lost, balance.n_unexplained) == (30, 0, 0)


def test_unreadable_frames_count_in_the_session_that_they_name(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as old, zmq.Context() as context:
        old.send_frames(30)
        old.wait_until_processed()
        address = daemon.settings.network.frames
        with sockets.connect_socket(context, zmq.PUSH, address) as new:
            assert new.poll(5000, zmq.POLLOUT)
            with pause_process(daemon):
                old.send_frames(5)
                time.sleep(ARRIVAL_S)
                for parts in (START, unreadable_frame("new"), unreadable_frame("new")):
                    new.send_multipart(parts)
                new.send_multipart(unreadable_frame(old.session))
            daemon.wait_until(
                lambda: (
                    daemon.newest_health().session == "new"
                    and daemon.newest_health().rejected_messages == 2
                )
            )
    assert newest_health_of(daemon, "new").lost["unreadable"] == 2
    health = newest_health_of(daemon, old.session)
    assert (health.frames_processed, health.lost["unreadable"]) == (35, 1)


def test_words_of_a_sender_cannot_forge_lines_of_the_log(small_daemon):
    daemon, session = small_daemon, "forger"
    start = messages.SessionStart(
        session=session,
        seq=0,
        source="x\n12:00:00 \x1b[2Jready",
        rate_hz=30,
        shape=SHAPE,
    )
    with zmq.Context() as context:
        address = daemon.settings.network.frames
        with sockets.connect_socket(context, zmq.PUSH, address) as socket:
            socket.send_multipart(messages.encode_incoming(start))
            daemon.wait_until(lambda: daemon.newest_health().session == session)
    [event] = [e for e in daemon.events_named("session") if e.session == session]
    assert event.message.isprintable()
    assert "session from x?12:00:00 ?[2Jready" in daemon.output
