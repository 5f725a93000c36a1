"""A daemon that joins a running session counts apart what was lost before."""

from __future__ import annotations

from rtrecon.daemon.ingest.ingest import Ingest
from rtrecon.protocol import messages
from tests.unit.daemon.test_ingest import frame, start


def end(seq: int, frames: int, dropped: int) -> messages.SessionEnd:
    return messages.SessionEnd(
        session="a", seq=seq, reason="done", frames=frames, dropped=dropped
    )


def feed(*received: messages.IncomingMessage) -> Ingest:
    ingest = Ingest()
    for message in received:
        ingest.accept_message(message)
    return ingest


def test_only_frames_dropped_since_the_first_one_are_lost_to_this_daemon():
    counts = feed(
        start(seq=500),
        frame(600, seq=501, dropped=99),
        frame(604, seq=502, dropped=102),
    ).counts
    assert (counts.dropped_earlier, counts.dropped_now) == (99, 3)


def test_earlier_drops_are_reported_once_with_the_first_frame():
    ingest = Ingest()
    ingest.accept_message(start(seq=500))
    first = ingest.accept_message(frame(600, seq=501, dropped=99))
    second = ingest.accept_message(frame(601, seq=502, dropped=99))
    assert (first.dropped_earlier, second.dropped_earlier) == (99, 0)


def test_frames_before_the_repeated_start_count_as_refused_in_the_session():
    counts = feed(
        frame(600, seq=500, dropped=99),
        frame(601, seq=501, dropped=99),
        start(seq=502),
        frame(602, seq=503, dropped=100),
    ).counts
    assert (counts.frames_received, counts.frames_accepted) == (3, 1)
    assert counts.frames_refused == counts.rejected_messages == 2
    assert (counts.dropped_earlier, counts.dropped_now) == (99, 1)


def test_frames_of_another_unstarted_session_do_not_count():
    counts = feed(frame(1, session="b"), start(seq=0), frame(1)).counts
    assert (counts.frames_received, counts.frames_refused) == (1, 0)


def test_messages_lost_before_a_repeated_start_count_in_that_session_only():
    ingest = feed(start("old"), frame(1, session="old"))
    for seq in (500, 503):
        ingest.accept_message(frame(seq, seq=seq))
    assert ingest.counts.lost_in_network == 0
    ingest.accept_message(start(seq=504))
    assert ingest.counts.lost_in_network == 2


def test_an_end_without_frames_counts_all_drops_of_a_session_seen_from_its_start():
    counts = feed(start(seq=0), end(1, 0, 7)).counts
    assert (counts.dropped_earlier, counts.dropped_now) == (0, 7)


def test_an_end_without_frames_says_nothing_of_drops_of_a_session_joined_later():
    counts = feed(start(seq=50), end(51, 40, 7)).counts
    assert (counts.dropped_earlier, counts.dropped_now) == (7, 0)
