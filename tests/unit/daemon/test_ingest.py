"""What is done with each received message, and which losses are counted."""

from __future__ import annotations

from collections import Counter

import pytest

from rtrecon.daemon.ingest.ingest import MAX_ENDED_SESSIONS, Ingest
from rtrecon.daemon.ingest.result import IngestAction
from rtrecon.daemon.ingest.sender_sequences import MAX_COUNTED_SENDERS
from rtrecon.protocol import messages

RATE_HZ = 30.0
SHAPE = (4, 6)


def start(session="a", seq=0, **fields):
    fields = {"source": "test", "rate_hz": RATE_HZ, "shape": SHAPE} | fields
    return messages.SessionStart(session=session, seq=seq, **fields)


def frame(number, seq=None, session="a", **fields):
    """A frame whose seq is its number, as if the start had been message 0."""
    seq = number if seq is None else seq
    fields = {"t": number / RATE_HZ, "t_send": 0.0, "shape": SHAPE} | fields
    return messages.Frame(session=session, seq=seq, frame=number, **fields)


def behavior(seq, session="a"):
    return messages.BehaviorSample(session=session, seq=seq, t=0.0, running_speed=1.0)


def run(*messages):
    """Return the ingest, and its action for each message after a start."""
    ingest = Ingest()
    assert ingest.accept_message(start()).action == IngestAction.SESSION
    return ingest, [ingest.accept_message(message).action for message in messages]


# messages after a start -> counted (network, source, repeated)
LOSSES = {
    "nothing lost": ([frame(1), frame(2), frame(3)], (0, 0, 0)),
    "lost in the network": ([frame(1), frame(4)], (2, 0, 0)),
    "lost before the sender": ([frame(1), frame(4, seq=2)], (0, 2, 0)),
    "both": ([frame(1), frame(6, seq=3)], (1, 3, 0)),
    "flyback": ([frame(1), frame(1, seq=2), frame(2, seq=3)], (0, 0, 1)),
    "a time gap alone is no loss": ([frame(1), frame(2, t=99.0)], (0, 0, 0)),
    "a behaviour message finds the gap of a frame": (
        [frame(1), behavior(3), frame(3, seq=4)],
        (1, 0, 0),
    ),
    "only a behaviour message was lost": ([frame(1), frame(2, seq=3)], (1, 0, 0)),
    "start repeated between frames": (
        [frame(1), start(seq=2), frame(2, seq=3)],
        (0, 0, 0),
    ),
    "start repeated after a loss": (
        [frame(1), start(seq=3), frame(3, seq=4)],
        (1, 0, 0),
    ),
    "the daemon started later": ([frame(900, seq=1)], (0, 0, 0)),
    "a sender that counts dropped frames": (
        [frame(1), frame(5, seq=2, dropped=3)],
        (0, 3, 0),
    ),
    "no further loss for a long time": (
        [frame(1), frame(3), *[frame(i) for i in range(4, 50)]],
        (1, 0, 0),
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_each_loss_is_counted_once_and_where_it_happened(case):
    messages, expected = LOSSES[case]
    ingest, actions = run(*messages)
    gaps = ingest.counts.gaps
    assert (gaps.network, gaps.source, gaps.repeated) == expected
    assert IngestAction.REFUSED not in actions


def test_the_result_reports_losses_just_before_the_frame():
    ingest, _ = run(frame(1))
    result = ingest.accept_message(frame(6, seq=3))
    assert (result.action, result.lost_in_network, result.lost_at_source) == (
        IngestAction.FRAME,
        1,
        3,
    )
    after = ingest.accept_message(frame(7, seq=4))
    assert (after.lost_in_network, after.lost_at_source) == (0, 0)


def test_frames_dropped_by_the_sender_are_counted():
    ingest, _ = run(frame(1, dropped=2), frame(5, seq=2, dropped=5))
    assert ingest.counts.frames_dropped == 5
    assert ingest.counts.dropped_earlier == 2
    assert ingest.counts.dropped_now == 3


def test_a_repeated_start_is_ignored_and_a_new_session_resets_the_counters():
    ingest, actions = run(frame(1), start(seq=2), frame(9, seq=3), start("b"))
    assert actions == [
        IngestAction.FRAME,
        IngestAction.IGNORE,
        IngestAction.FRAME,
        IngestAction.SESSION,
    ]
    assert ingest.session_start.session == "b"
    assert (ingest.counts.frames_received, ingest.counts.gaps) == (
        0,
        messages.GapCounts(),
    )
    assert ingest.accept_message(frame(1, session="b")).action == IngestAction.FRAME


def test_an_ended_session_cannot_start_again():
    ingest, _ = run(start("b"))
    result = ingest.accept_message(frame(1, session="a"))
    assert result.action == IngestAction.REFUSED
    assert "frames of session a, which has ended because" in result.reason
    result = ingest.accept_message(start("a"))
    assert result.action == IngestAction.REFUSED
    assert "stop one of the two senders" in result.reason
    assert ingest.session_start.session == "b"


def test_frames_are_refused_until_their_session_starts():
    ingest = Ingest()
    early = [ingest.accept_message(frame(i)) for i in (1, 2, 3)]
    assert {result.action for result in early} == {IngestAction.REFUSED}
    assert "has not started" in early[0].reason
    assert ingest.accept_message(start(seq=4)).action == IngestAction.SESSION
    assert ingest.accept_message(frame(4, seq=5)).action == IngestAction.FRAME
    assert ingest.counts.gaps == messages.GapCounts()


def volume(number, seq, planes=(0, 1), channels=(1, 2)):
    """Every image of a volume: planes one after the other, channels of each at once."""
    kinds = [(plane, channel) for plane in planes for channel in channels]
    return [
        frame(number, seq=seq + i, plane=plane, channel=channel)
        for i, (plane, channel) in enumerate(kinds)
    ]


# messages after the start of 2 planes of 2 channels -> losses (network, source)
VOLUMES = {
    "nothing lost": ([*volume(1, 1), *volume(2, 5), *volume(3, 9)], (0, 0)),
    "a volume before the sender": ([*volume(1, 1), *volume(3, 5)], (0, 4)),
    "a volume in the network": ([*volume(1, 1), *volume(3, 9)], (4, 0)),
    "an image in the network": (
        [*volume(1, 1), *volume(2, 5)[:3], *volume(3, 9)],
        (1, 0),
    ),
    "an image before the sender": (
        [*volume(1, 1), *volume(2, 5)[:3], *volume(3, 8)],
        (0, 1),
    ),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_losses_of_volumes_are_counted_per_image(case):
    messages, losses = VOLUMES[case]
    ingest = Ingest()
    ingest.accept_message(start(planes=[0.0, 30.0], channels=[1, 2]))
    actions = Counter(ingest.accept_message(message).action for message in messages)
    assert actions == {IngestAction.FRAME: len(messages)}
    assert (ingest.counts.lost_in_network, ingest.counts.lost_at_source) == losses


# a frame that cannot follow frame 2 of the session -> words of the reason
UNFIT = {
    "another shape": (frame(3, shape=(4, 7)), "frame 3 is int16 4 x 7"),
    "another dtype": (frame(3, dtype="uint16"), "frame 3 is uint16 4 x 6"),
    "another channel": (frame(3, channel=2), "started with channels [1] and 1 planes"),
    "another plane": (frame(2, seq=3, plane=1), "must name all it sends"),
    "another field": (frame(2, seq=3, roi="left"), "should send only that"),
    "counter restarted": (frame(1, seq=3, t=5.0), "cannot follow frame 2"),
    "clock restarted": (frame(3, t=0.0), "cannot follow frame 2"),
    "clock jumped": (frame(3, t=1e9), "cannot follow frame 2"),
    "counter jumped": (frame(10**12, seq=3), "cannot follow frame 2"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_an_unfit_frame_is_refused_with_a_reason_and_the_next_is_accepted(case):
    unfit, words = UNFIT[case]
    ingest, _ = run(frame(1), frame(2))
    result = ingest.accept_message(unfit)
    assert result.action == IngestAction.REFUSED
    assert words in result.reason
    assert ingest.accept_message(frame(4)).action == IngestAction.FRAME
    # Frame 3 arrived, although it could not be used: it was not lost.
    assert ingest.counts.gaps == messages.GapCounts()
    assert ingest.counts.rejected_messages == 1


def test_a_start_that_changes_the_layout_is_refused():
    ingest, _ = run(frame(1))
    result = ingest.accept_message(start(seq=2, shape=(8, 8)))
    assert (result.action, ingest.session_start.shape) == (IngestAction.REFUSED, SHAPE)
    assert "changes int16 4 x 6 to int16 8 x 8" in result.reason


def test_an_undecodable_message_counts_as_refused_not_as_lost():
    ingest, _ = run(frame(1))
    result = ingest.count_undecodable("header does not parse")
    assert (result.action, result.reason) == (
        IngestAction.REFUSED,
        "header does not parse",
    )
    assert ingest.accept_message(frame(3)).action == IngestAction.FRAME
    assert ingest.counts.rejected_messages == 1
    assert ingest.counts.gaps == messages.GapCounts()
    # It hides no later loss.
    assert ingest.accept_message(frame(5)).lost_in_network == 1


def test_each_sender_has_its_own_message_counter():
    ingest, _ = run(frame(1))
    actions = [ingest.accept_message(behavior(seq, "cam")).action for seq in (7, 8, 10)]
    assert actions == [IngestAction.AUXILIARY] * 3
    assert ingest.counts.lost_in_network == 1
    # The loss of a camera's message does not explain the gap in `frame`.
    assert ingest.accept_message(frame(4, seq=2)).lost_at_source == 2


def test_an_end_is_accepted_only_from_the_running_session():
    ingest, _ = run(start("b"))
    ends = [
        messages.SessionEnd(session=name, seq=9, reason="done") for name in ("a", "b")
    ]
    assert [ingest.accept_message(end).action for end in ends] == [
        IngestAction.IGNORE,
        IngestAction.END,
    ]
    # An end is only a hint: a later frame is accepted.
    assert (
        ingest.accept_message(frame(1, seq=10, session="b")).action
        == IngestAction.FRAME
    )


def test_each_received_frame_is_accepted_repeated_or_refused():
    ingest, actions = run(
        frame(1), frame(1, seq=2), frame(2, seq=3, shape=(9, 9)), frame(3, seq=4)
    )
    counts = ingest.counts
    assert (
        counts.frames_received
        == counts.frames_accepted + counts.frames_repeated + counts.rejected_messages
        == 4
    )
    assert Counter(actions) == {
        IngestAction.FRAME: 2,
        IngestAction.IGNORE: 1,
        IngestAction.REFUSED: 1,
    }


def test_the_memory_for_senders_and_sessions_is_bounded():
    ingest = Ingest()
    for i in range(1000):
        ingest.accept_message(start(f"session {i}"))
        ingest.accept_message(behavior(i, f"sender {i}"))
    assert len(ingest._sequences) <= MAX_COUNTED_SENDERS
    assert len(ingest._ended_sessions) == MAX_ENDED_SESSIONS


@pytest.mark.parametrize(("first_seq", "n_sent"), [(0, 500), (400, None)])
def test_the_senders_count_is_used_if_the_daemon_saw_the_session_begin(
    first_seq, n_sent
):
    ingest = Ingest()
    ingest.accept_message(start(seq=first_seq))
    end = messages.SessionEnd(session="a", seq=501, reason="done", frames=500)
    ingest.accept_message(end)
    assert ingest.counts.frames_sent == n_sent
