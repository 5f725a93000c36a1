"""Sessions that begin late, end without a word, or replace each other."""

from __future__ import annotations

from rtrecon.protocol import messages
from rtrecon.session.frame_balance import balance_frames
from rtrecon.testing.daemon_process import START_TIMEOUT_S, DaemonProcess
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SimulatedMicroscope,
    make_small_settings,
)
from tests.support.daemon_checks import (
    list_recorded_frames,
    list_refusals,
)


def test_a_daemon_that_starts_late_joins_the_running_session(tmp_path):
    settings = make_small_settings(tmp_path)
    with (
        DaemonProcess(tmp_path, settings, wait=False) as late,
        SimulatedMicroscope(late, wait=False) as microscope,
    ):
        microscope.send_frames_until(
            lambda: late.events_named("session"), START_TIMEOUT_S
        )
        microscope.send_frames_until(
            lambda: (
                late.newest_health() and late.newest_health().frames_processed >= 30
            ),
            START_TIMEOUT_S,
        )
        late.wait_until(
            lambda: (
                list_recorded_frames(late, microscope.session)[-1:]
                == [microscope.n_sent]
            )
        )
        late.wait_until(lambda: late.newest_health().state == "idle")
    first = int(list_recorded_frames(late, microscope.session)[0])
    assert list_recorded_frames(late, microscope.session) == list(
        range(first, microscope.n_sent + 1)
    )
    # Earlier frames were dropped without a daemon, or refused until the next start.
    assert 0 < microscope.sender.n_dropped < first
    assert first - microscope.sender.n_dropped < 1.5 * RATE_HZ
    health = late.newest_health()
    # Those before the daemon was there are no loss of this daemon, but are reported.
    assert health.lost["earlier"] == microscope.sender.n_dropped
    assert health.lost["sender"] == 0
    (gap,) = late.events_named("gap")
    assert gap.value == microscope.sender.n_dropped
    n_received = microscope.n_sent - microscope.sender.n_dropped
    assert health.frames_received == n_received
    assert health.frames_processed == n_received - health.lost["refused"]
    assert health.frames_processed == microscope.n_sent + 1 - first
    balance = balance_frames(health)
    assert (balance.n_sent, balance.n_unexplained) == (microscope.n_sent, 0)
    assert health.gaps.source == 0


def test_a_session_ends_when_its_sender_disappears(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(50)
        microscope.wait_until_processed()
    # The sender has gone without an end message.
    daemon.wait_until(lambda: daemon.newest_health().state == "idle")
    assert daemon.events_named("silence")[-1].session == microscope.session
    assert not [
        e for e in daemon.events_named("end") if e.session == microscope.session
    ]
    daemon.wait_until(
        lambda: list_recorded_frames(daemon, microscope.session) == list(range(1, 51))
    )

    def list_event_names() -> list[str]:
        [recording] = daemon.recordings(microscope.session)
        return [event.name for event in recording.events]

    # Events reach the disk some time after the frames.
    daemon.wait_until(lambda: {"silence", "recorded"} <= set(list_event_names()))
    names = list_event_names()
    assert names.index("silence") < names.index("recorded")


def test_a_new_session_ends_the_old_one(small_daemon):
    daemon = small_daemon
    with SimulatedMicroscope(daemon) as old:
        old.send_frames(30)
        old.wait_until_processed()
        with SimulatedMicroscope(daemon) as new:
            new.send_frames(30)
            new.wait_until_processed()
            old.send_frames(10)  # too late
            daemon.wait_until(lambda: daemon.newest_health().rejected_messages >= 10)
            new.send_frames(10)
            daemon.wait_until(lambda: daemon.newest_health().frames_processed == 40)
            health = daemon.newest_health()
    assert health.gaps == messages.GapCounts()
    daemon.wait_until(
        lambda: list_recorded_frames(daemon, new.session) == list(range(1, 41))
    )
    assert list_recorded_frames(daemon, old.session) == list(range(1, 31))
    refused = list_refusals(daemon, new.session)
    assert any(
        "which has ended because another one began" in sentence for sentence in refused
    )
