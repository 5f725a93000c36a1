from __future__ import annotations

from collections import Counter

import pytest

from rtrecon.daemon.ingest import ENDED_SESSIONS, Ingest, Kind, Throttle
from rtrecon.protocol import messages

RATE_HZ = 30.0
SHAPE = (4, 6)


def start(session="a", seq=0, **fields):
    fields = {"source": "test", "rate_hz": RATE_HZ, "shape": SHAPE} | fields
    return messages.Start(session=session, seq=seq, **fields)


def frame(number, seq=None, session="a", **fields):
    """A frame whose seq is its number, as if the start had been message 0."""
    seq = number if seq is None else seq
    fields = {"t": number / RATE_HZ, "t_send": 0.0, "shape": SHAPE} | fields
    return messages.Frame(session=session, seq=seq, frame=number, **fields)


def behavior(seq, session="a"):
    return messages.Behavior(session=session, seq=seq, t=0.0, running_speed=1.0)


def run(*messages):
    """Return the ingest, and the kind of its verdict on each message after a start."""
    ingest = Ingest()
    assert ingest.accept(start()).kind == Kind.SESSION
    return ingest, [ingest.accept(message).kind for message in messages]


# messages after a start -> what is counted, as (wire, source, repeats)
LOSSES = {
    "nothing lost": ([frame(1), frame(2), frame(3)], (0, 0, 0)),
    "lost on the wire": ([frame(1), frame(4)], (2, 0, 0)),
    "lost before the sender": ([frame(1), frame(4, seq=2)], (0, 2, 0)),
    "both": ([frame(1), frame(6, seq=3)], (1, 3, 0)),
    "flyback": ([frame(1), frame(1, seq=2), frame(2, seq=3)], (0, 0, 1)),
    "a time gap alone is no loss": ([frame(1), frame(2, t=99.0)], (0, 0, 0)),
    "a behaviour message finds the gap of a frame": (
        [frame(1), behavior(3), frame(3, seq=4)],
        (1, 0, 0),
    ),
    "only a behaviour message was lost": ([frame(1), frame(2, seq=3)], (1, 0, 0)),
    "start again between frames": (
        [frame(1), start(seq=2), frame(2, seq=3)],
        (0, 0, 0),
    ),
    "start again after a loss": (
        [frame(1), start(seq=3), frame(3, seq=4)],
        (1, 0, 0),
    ),
    "the first frames were before our time": ([frame(900, seq=1)], (0, 0, 0)),
    "a sender that counts on after dropping": (
        [frame(1), frame(5, seq=2, dropped=3)],
        (0, 3, 0),
    ),
    "a loss, then nothing for long": (
        [frame(1), frame(3), *[frame(i) for i in range(4, 50)]],
        (1, 0, 0),
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_each_loss_is_counted_once_and_where_it_happened(case):
    messages, expected = LOSSES[case]
    ingest, kinds = run(*messages)
    gaps = ingest.counts.gaps
    assert (gaps.wire, gaps.source, gaps.repeats) == expected
    assert Kind.REFUSED not in kinds


def test_the_verdict_tells_the_loss_before_its_frame():
    ingest, _ = run(frame(1))
    verdict = ingest.accept(frame(6, seq=3))
    assert (verdict.kind, verdict.lost_wire, verdict.lost_source) == (Kind.FRAME, 1, 3)
    after = ingest.accept(frame(7, seq=4))
    assert (after.lost_wire, after.lost_source) == (0, 0)


def test_what_the_sender_says_it_dropped_is_kept():
    ingest, _ = run(frame(1, dropped=2), frame(5, seq=2, dropped=5))
    assert ingest.counts.dropped == 5


def test_a_start_again_is_ignored_and_a_new_session_starts_afresh():
    ingest, kinds = run(frame(1), start(seq=2), frame(9, seq=3), start("b"))
    assert kinds == [Kind.FRAME, Kind.IGNORE, Kind.FRAME, Kind.SESSION]
    assert ingest.session.session == "b"
    assert (ingest.counts.received, ingest.counts.gaps) == (0, messages.Gaps())
    assert ingest.accept(frame(1, session="b")).kind == Kind.FRAME


def test_a_session_that_ended_does_not_come_back():
    ingest, _ = run(start("b"))
    assert ingest.accept(frame(1, session="a")).kind == Kind.REFUSED
    verdict = ingest.accept(start("a"))
    assert verdict.kind == Kind.REFUSED
    assert "stop one of the two senders" in verdict.sentence
    assert ingest.session.session == "b"


def test_frames_before_their_start_are_refused_until_it_comes():
    ingest = Ingest()
    early = [ingest.accept(frame(i)) for i in (1, 2, 3)]
    assert {verdict.kind for verdict in early} == {Kind.REFUSED}
    assert "has not started" in early[0].sentence
    assert ingest.accept(start(seq=4)).kind == Kind.SESSION
    assert ingest.accept(frame(4, seq=5)).kind == Kind.FRAME
    assert ingest.counts.gaps == messages.Gaps()


def volume(number, seq, planes=(0, 1), channels=(1, 2)):
    """Every image of a volume: planes one after the other, channels of each at once."""
    kinds = [(plane, channel) for plane in planes for channel in channels]
    return [
        frame(number, seq=seq + i, plane=plane, channel=channel)
        for i, (plane, channel) in enumerate(kinds)
    ]


# messages after the start of two planes of two channels -> (wire, source) losses
VOLUMES = {
    "nothing lost": ([*volume(1, 1), *volume(2, 5), *volume(3, 9)], (0, 0)),
    "a volume before the sender": ([*volume(1, 1), *volume(3, 5)], (0, 4)),
    "a volume on the wire": ([*volume(1, 1), *volume(3, 9)], (4, 0)),
    "an image on the wire": ([*volume(1, 1), *volume(2, 5)[:3], *volume(3, 9)], (1, 0)),
    "an image before the sender": (
        [*volume(1, 1), *volume(2, 5)[:3], *volume(3, 8)],
        (0, 1),
    ),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_losses_of_volumes_are_counted_per_image(case):
    messages, losses = VOLUMES[case]
    ingest = Ingest()
    ingest.accept(start(planes=[0.0, 30.0], channels=[1, 2]))
    kinds = Counter(ingest.accept(message).kind for message in messages)
    assert kinds == {Kind.FRAME: len(messages)}
    assert (ingest.counts.lost_wire, ingest.counts.lost_source) == losses


# a frame that cannot follow frame 2 of the session -> words of the sentence
UNFIT = {
    "another shape": (frame(3, shape=(4, 7)), "frame 3 is int16 4 x 7"),
    "another dtype": (frame(3, dtype="uint16"), "frame 3 is uint16 4 x 6"),
    "another channel": (frame(3, channel=2), "started with channels [1] and 1 planes"),
    "another plane": (frame(2, seq=3, plane=1), "must name all it sends"),
    "another field": (frame(2, seq=3, roi="left"), "should send only that"),
    "counter restarted": (frame(1, seq=3, t=5.0), "cannot follow frame 2"),
    "clock restarted": (frame(3, t=0.0), "cannot follow frame 2"),
    "clock gone wild": (frame(3, t=1e9), "cannot follow frame 2"),
    "counter gone wild": (frame(10**12, seq=3), "cannot follow frame 2"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_an_unfit_frame_is_refused_in_words_and_the_stream_goes_on(case):
    unfit, words = UNFIT[case]
    ingest, _ = run(frame(1), frame(2))
    verdict = ingest.accept(unfit)
    assert verdict.kind == Kind.REFUSED
    assert words in verdict.sentence
    assert ingest.accept(frame(4)).kind == Kind.FRAME
    # Frame 3 came, though nobody could use it: it was not lost.
    assert ingest.counts.gaps == messages.Gaps()
    assert ingest.counts.rejected == 1


def test_a_start_that_changes_its_session_is_refused():
    ingest, _ = run(frame(1))
    verdict = ingest.accept(start(seq=2, shape=(8, 8)))
    assert (verdict.kind, ingest.session.shape) == (Kind.REFUSED, SHAPE)
    assert "changes int16 4 x 6 to int16 8 x 8" in verdict.sentence


def test_a_message_that_does_not_decode_is_refused_not_lost():
    ingest, _ = run(frame(1))
    verdict = ingest.reject("header does not parse")
    assert (verdict.kind, verdict.sentence) == (Kind.REFUSED, "header does not parse")
    assert ingest.accept(frame(3)).kind == Kind.FRAME
    assert ingest.counts.rejected == 1
    assert ingest.counts.gaps == messages.Gaps()
    # but it hides no later loss
    assert ingest.accept(frame(5)).lost_wire == 1


def test_stimulus_programs_count_their_own_messages():
    ingest, _ = run(frame(1))
    kinds = [ingest.accept(behavior(seq, "cam")).kind for seq in (7, 8, 10)]
    assert kinds == [Kind.ASIDE] * 3
    assert ingest.counts.lost_wire == 1
    # A camera's loss is not a frame's: the jump in `frame` is told as such.
    assert ingest.accept(frame(4, seq=2)).lost_source == 2


def test_end_counts_only_for_the_session_that_runs():
    ingest, _ = run(start("b"))
    ends = [messages.End(session=name, seq=9, reason="done") for name in ("a", "b")]
    assert [ingest.accept(end).kind for end in ends] == [Kind.IGNORE, Kind.END]
    # A hint only: what comes after it is still taken.
    assert ingest.accept(frame(1, seq=10, session="b")).kind == Kind.FRAME


def test_every_frame_received_is_accounted_for():
    ingest, kinds = run(
        frame(1), frame(1, seq=2), frame(2, seq=3, shape=(9, 9)), frame(3, seq=4)
    )
    counts = ingest.counts
    assert counts.received == counts.accepted + counts.repeats + counts.rejected == 4
    assert Counter(kinds) == {Kind.FRAME: 2, Kind.IGNORE: 1, Kind.REFUSED: 1}


def test_memory_does_not_grow_with_senders_and_sessions():
    ingest = Ingest()
    for i in range(1000):
        ingest.accept(start(f"session {i}"))
        ingest.accept(behavior(i, f"sender {i}"))
    assert len(ingest._seqs) <= 16
    assert len(ingest._ended) == ENDED_SESSIONS


def test_a_sentence_is_told_once_then_once_a_second_with_a_count():
    throttle = Throttle()
    told = [throttle.offer(f"frame {i} is bad", i * 0.1) for i in range(25)]
    assert told[0] == "frame 0 is bad"
    assert told[10] == "frame 10 is bad (and 9 more like it)"
    assert told[20] == "frame 20 is bad (and 9 more like it)"
    assert [t for i, t in enumerate(told) if i % 10] == [None] * 22
    assert throttle.offer("frame 99 is bad", 60.0).endswith("(and 4 more like it)")


def test_another_kind_of_sentence_is_told_at_once():
    throttle = Throttle()
    assert throttle.offer("frame 1 is bad", 0.0)
    assert throttle.offer("header does not parse", 0.0)
    assert not throttle.offer("frame 2.5 is bad", 0.1)


def test_a_flood_of_kinds_is_held_back_together():
    throttle = Throttle(max_kinds=4)
    kinds = [chr(ord("a") + i) * 5 for i in range(20)]
    told = [kind for kind in kinds if throttle.offer(kind, 0.0)]
    assert len(told) == 5
    assert throttle.offer("zzzzz", 2.0) == "zzzzz (and 15 more like it)"
