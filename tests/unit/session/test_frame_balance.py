"""What became of the frames of a session: sent = processed + queued + each loss."""

from __future__ import annotations

from rtrecon.protocol import messages
from rtrecon.session.frame_balance import balance_frames

GAPS = messages.GapCounts(network=9, source=12, repeated=2)
LOST = {
    "sender": 5,
    "refused": 3,
    "reference": 20,
    "unpaired": 1,
    "unprocessed": 6,
    "failed": 1,
}


def make_health(**fields: object) -> messages.Health:
    known = {"process": "daemon", "state": "running", "gaps": GAPS, "lost": LOST}
    counts = {"frames_received": 100, "frames_processed": 59}
    queues = {"queue_depth": {"frames": 8}}
    return messages.Health(
        session="s", seq=0, t=0.0, **(known | counts | queues | fields)
    )


def test_each_sent_frame_is_processed_queued_or_lost_somewhere():
    balance = balance_frames(make_health())
    assert balance.n_sent == 100 + 5 + 9 + (12 - 5)
    assert balance.n_sent == balance.n_processed + balance.n_queued + balance.n_lost
    assert balance.n_unexplained == 0
    assert balance.losses == {
        "lost before the sender": 7,  # without those that the sender dropped
        "dropped by the sender": 5,
        "lost on the network": 9,
        "refused by the daemon": 3,
        "unusable for a reference": 20,
        "without their other channel": 1,
        "not processed before the session ended": 6,
        "not processed because of an error": 1,
        "repeated, ignored": 2,
    }


def test_frames_that_cannot_be_decoded_are_not_lost_on_the_network():
    lost = LOST | {"unreadable": 7}
    balance = balance_frames(make_health(frames_sent=110, lost=lost))
    assert balance.losses["not readable by the daemon"] == 7
    assert balance.losses["lost on the network"] == 3
    assert balance.n_sent == 110 + 12
    before_the_end = balance_frames(make_health(lost=lost))
    assert before_the_end.losses["not readable by the daemon"] == 7
    assert before_the_end.losses["lost on the network"] == GAPS.network


def test_frames_dropped_before_the_daemon_was_there_are_a_kind_of_their_own():
    balance = balance_frames(make_health(lost=LOST | {"earlier": 40}))
    words = "dropped by the sender before this daemon received frames"
    assert balance.losses[words] == 40
    assert balance.losses["dropped by the sender"] == LOST["sender"]
    assert balance.n_sent == balance.n_processed + balance.n_queued + balance.n_lost


def test_the_senders_own_count_replaces_the_estimate_of_frames_lost_on_the_way():
    balance = balance_frames(make_health(frames_sent=103))
    assert balance.losses["lost on the network"] == 3
    assert balance.n_sent == 103 + 12


def test_a_frame_that_no_count_contains_is_unexplained():
    assert balance_frames(make_health(frames_processed=58)).n_unexplained == 1


def test_a_session_without_losses_lists_none():
    health = make_health(
        gaps=messages.GapCounts(), lost={}, frames_processed=100, queue_depth={}
    )
    balance = balance_frames(health)
    assert (balance.losses, balance.n_lost, balance.n_unexplained) == ({}, 0, 0)
