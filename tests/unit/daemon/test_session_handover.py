"""Messages of two sessions of which the second begins at once."""

from __future__ import annotations

import pytest

from rtrecon.daemon.ingest.ingest import Ingest
from rtrecon.daemon.ingest.result import IngestAction
from rtrecon.daemon.session_handover import (
    MAX_HANDOVER_S,
    MAX_HELD_BYTES,
    MAX_HELD_MESSAGES,
    SessionHandover,
)
from tests.unit.daemon.test_ingest import frame, start


def hold_start(now_s: float = 0.0) -> SessionHandover:
    handover = SessionHandover()
    assert handover.must_hold(start("b"), is_new=True, now_s=now_s)
    handover.hold([b"start of b"], 1.0, "b")
    return handover


def test_a_new_session_is_held_and_then_returned_in_order():
    handover = hold_start()
    assert handover.must_hold(frame(1, session="b"), is_new=False, now_s=0.1)
    handover.hold([b"frame of b"], 2.0, "b")
    assert handover.take_message() is None
    handover.release()
    assert handover.take_message() == ([b"start of b"], 1.0)
    assert handover.take_message() == ([b"frame of b"], 2.0)
    assert handover.take_message() is None


def test_messages_of_the_present_session_and_of_cameras_are_not_held():
    handover = hold_start()
    for session in ("a", "camera"):
        message = frame(1, session=session)
        assert not handover.must_hold(message, is_new=False, now_s=0.1)


def test_a_released_session_begins_and_is_not_held_again():
    handover = hold_start()
    handover.release()
    assert not handover.must_hold(start("b"), is_new=True, now_s=0.2)


def test_a_third_session_is_held_behind_the_second():
    handover = hold_start()
    assert handover.must_hold(start("c"), is_new=True, now_s=0.1)
    handover.hold([b"start of c"], 1.5, "c")
    handover.release()
    assert [handover.take_message()[1] for _ in "bc"] == [1.0, 1.5]


@pytest.mark.parametrize(
    ("n_messages", "n_bytes", "now_s"),
    [
        (MAX_HELD_MESSAGES - 1, 8, 0.0),
        (1, MAX_HELD_BYTES, 0.0),
        (1, 8, MAX_HANDOVER_S + 0.1),
    ],
)
def test_a_new_session_is_not_held_without_limit(n_messages, n_bytes, now_s):
    handover = hold_start()
    handover.release_if_full(0.0)
    assert handover.is_holding
    for _ in range(n_messages):
        handover.hold([bytes(n_bytes)], 2.0, "b")
    handover.release_if_full(now_s)
    assert not handover.is_holding


def test_late_frames_of_the_session_before_count_in_no_other_session():
    ingest = Ingest()
    for message in (start("a"), frame(1, session="a"), start("b")):
        ingest.accept_message(message)
    late = ingest.accept_message(frame(9, seq=9, session="a"))
    assert (late.action, late.lost_in_network) == (IngestAction.REFUSED, 0)
    assert "which has ended because another one began" in late.reason
    counts = ingest.counts
    assert (counts.frames_received, counts.frames_refused) == (0, 0)
    assert counts.lost_in_network == 0
    ingest.count_undecodable("a frame of the session before", "a")
    ingest.count_undecodable("a frame of this session", "b")
    ingest.count_undecodable("a frame of an unknown session", "")
    ingest.count_undecodable("no frame")
    assert counts.frames_unreadable == 2


def test_frames_of_a_session_that_has_not_started_count_in_no_other_session():
    ingest = Ingest()
    for message in (start("a"), frame(1, session="a"), frame(1, session="b")):
        ingest.accept_message(message)
    assert ingest.counts.frames_received == 1
    ingest.accept_message(start("b", seq=2))
    assert (ingest.counts.frames_received, ingest.counts.frames_refused) == (1, 1)
