"""Limits of messages and of notices; the time is given, so nothing waits."""

from __future__ import annotations

from rtrecon.daemon.rate_limits import (
    MAX_SENDERS,
    SESSION_BURST,
    MessageLimits,
    Throttle,
    TokenBucket,
)
from rtrecon.protocol import messages


def test_each_sender_has_its_own_tokens_and_regains_them():
    bucket = TokenBucket(10.0, burst=5.0)
    for sender in ("one", "two"):
        taken = [bucket.try_take(sender, 0.0) for _ in range(7)]
        assert taken == 5 * [True] + 2 * [False]
    assert [bucket.try_take("one", 0.25) for _ in range(4)] == 2 * [True] + 2 * [False]


def test_a_flood_of_sender_names_shares_one_limit():
    bucket = TokenBucket(1.0, burst=2.0)
    taken = [bucket.try_take(f"sender {i}", 0.0) for i in range(1000)]
    assert sum(taken) == MAX_SENDERS + 2
    assert bucket.try_take("a sender after a pause", 60.0)


def test_frames_are_not_limited_but_auxiliary_messages_are():
    limits = MessageLimits(aux_rate_limit_hz=3.0)
    fields = {"session": "s", "seq": 0, "t": 0.0, "t_send": 0.0}
    frame = messages.Frame(**fields, frame=1, shape=(2, 2))
    sync = messages.SyncEdge(**fields, line=0, value=1)
    assert not any(limits.check_message(frame, 0.0) for _ in range(1000))
    refusals = [limits.check_message(sync, 0.0) for _ in range(5)]
    assert refusals[:3] == ["", "", ""]
    assert "more than 3 stimulus, behaviour and sync messages per s" in refusals[3]


def test_too_many_new_sessions_are_refused():
    limits = MessageLimits(aux_rate_limit_hz=1.0)

    def start(session: str) -> str:
        fields = {"source": "s", "rate_hz": 30.0, "shape": (2, 2)}
        message = messages.SessionStart(session=session, seq=0, **fields)
        return limits.check_message(message, 0.0)

    refusals = [start(str(i)) for i in range(2 * SESSION_BURST)]
    assert refusals.count("") == SESSION_BURST
    newest = str(SESSION_BURST - 1)
    assert not any(start(newest) for _ in range(100))  # a start is repeated


def test_a_repeated_notice_is_passed_once_a_second_with_a_count():
    throttle = Throttle()
    notices = [throttle.limit_notice(f"frame {i} is bad", i * 0.1) for i in range(25)]
    assert notices[0] == "frame 0 is bad"
    assert notices[10] == "frame 10 is bad (and 9 more like it)"
    assert notices[20] == "frame 20 is bad (and 9 more like it)"
    assert [notice for i, notice in enumerate(notices) if i % 10] == [None] * 22
    later = throttle.limit_notice("frame 99 is bad", 60.0)
    assert later.endswith("(and 4 more like it)")


def test_a_notice_of_another_kind_is_passed_at_once():
    throttle = Throttle()
    assert throttle.limit_notice("frame 1 is bad", 0.0)
    assert throttle.limit_notice("header does not parse", 0.0)
    assert not throttle.limit_notice("frame 2.5 is bad", 0.1)


def test_a_flood_of_different_notices_is_limited_together():
    throttle = Throttle(max_kinds=4)
    kinds = [chr(ord("a") + i) * 5 for i in range(20)]
    passed = [kind for kind in kinds if throttle.limit_notice(kind, 0.0)]
    assert len(passed) == 5
    assert throttle.limit_notice("zzzzz", 2.0) == "zzzzz (and 15 more like it)"
