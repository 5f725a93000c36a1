"""Watchdogs report once when a periodic message stops, and once when it resumes."""

from __future__ import annotations

import pytest

from rtrecon.daemon.watchdog import (
    BEHAVIOR_TIMEOUT_S,
    STIMULUS_TIMEOUT_S,
    Watchdog,
    Watchdogs,
)
from rtrecon.protocol import messages

FRAME = messages.Frame(
    session="s", seq=0, frame=0, t=0.0, t_send=0.0, shape=(8, 8), dtype="int16"
)
STIMULUS = messages.StimulusFrame(session="s", seq=0, clip="c", index=0)
WHEEL = messages.BehaviorSample(session="s", seq=0, running_speed=1.0)
EYE = messages.BehaviorSample(session="s", seq=0, pupil_dilation=1.0)
BLIND_EYE = messages.BehaviorSample(session="s", seq=0)  # the pupil is not found


def test_a_stall_and_its_end_are_each_reported_once():
    dog = Watchdog(1.5)
    assert dog.check_silence(100.0) is None  # nothing is expected yet
    assert dog.mark_received(100.0) is None
    assert dog.check_silence(101.4) is None
    assert dog.check_silence(101.5) == pytest.approx(1.5)
    assert dog.check_silence(103.0) is None
    assert dog.mark_received(104.0) == pytest.approx(4.0)
    assert dog.mark_received(104.1) is None
    dog.pause()
    assert dog.check_silence(1000.0) is None


@pytest.mark.parametrize(
    ("rate_hz", "timeout_s", "text"),
    [(30.0, 1.5, "1.5 s"), (0.5, 6.0, "6.0 s"), (1 / 1200, 3600.0, "1 h")],
)
def test_frames_of_a_slow_microscope_may_be_missing_for_three_periods(
    rate_hz, timeout_s, text
):
    dogs = Watchdogs(1.5)
    dogs.begin_session(rate_hz)
    dogs.mark_message(FRAME, 10.0)
    assert not dogs.take_notices(10.0 + timeout_s - 0.01)
    ((name, sentence),) = dogs.take_notices(10.0 + timeout_s)
    assert (name, dogs.frames.is_reported) == ("stalled", True)
    assert sentence.startswith(f"no frame for {text}: is")
    dogs.mark_message(FRAME, 5010.0)
    resumed = ("resumed", "frames arrive again, after 1 h 23 min")
    assert dogs.take_notices(5010.0) == [resumed]


STREAMS = {  # message, seconds until it is missed, condition, first words
    "stimulus": (STIMULUS, STIMULUS_TIMEOUT_S, "stimulus gone", "no stimulus for"),
    "pupil": (EYE, BEHAVIOR_TIMEOUT_S, "pupil gone", "no pupil size for"),
    "wheel": (WHEEL, BEHAVIOR_TIMEOUT_S, "running gone", "no running speed for"),
}


@pytest.mark.parametrize(
    ("message", "timeout_s", "condition", "words"), STREAMS.values(), ids=STREAMS
)
def test_a_stream_that_stops_is_a_condition_until_it_is_back(
    message, timeout_s, condition, words
):
    dogs = Watchdogs(1.5)
    dogs.begin_session(30.0)
    for i in range(60):
        dogs.mark_message(message, 10.0 + i / 30)
    newest_s = 10.0 + 59 / 30
    assert not dogs.take_notices(newest_s + timeout_s - 0.01)
    assert not dogs.list_conditions(newest_s + timeout_s - 0.01)
    [(name, sentence)] = dogs.take_notices(newest_s + timeout_s)
    assert name == "stalled"
    assert sentence.startswith(f"{words} {timeout_s:.1f} s")
    later = dogs.list_conditions(newest_s + 14)
    assert list(later) == [condition]
    assert later[condition].startswith(f"{words} 14.0 s")
    dogs.mark_message(message, newest_s + 15)
    [(name, sentence)] = dogs.take_notices(newest_s + 15)
    assert name == "resumed"
    assert sentence.endswith("again, after 15.0 s")
    assert not dogs.list_conditions(newest_s + 15)


def test_an_eye_program_that_does_not_find_the_pupil_is_reported():
    dogs = Watchdogs(1.5)
    for i in range(400):
        message = EYE if i < 60 else BLIND_EYE
        dogs.mark_message(message, i / 30)
    assert list(dogs.list_conditions(400 / 30)) == []
    assert len(dogs.take_notices(400 / 30)) == 1
    assert list(dogs.list_conditions(400 / 30)) == ["pupil gone"]


def test_a_stream_that_was_never_there_is_not_missed():
    dogs = Watchdogs(1.5)
    dogs.mark_message(STIMULUS, 0.0)  # a single picture, not a stream
    assert not dogs.take_notices(1000.0)


def test_a_slow_stream_is_missed_after_three_of_its_intervals():
    dogs = Watchdogs(1.5)
    for i in range(10):
        dogs.mark_message(STIMULUS, 4.0 * i)
    assert not dogs.take_notices(36.0 + 11.9)
    assert len(dogs.take_notices(36.0 + 12.1)) == 1


def test_after_the_end_of_a_session_nothing_is_missed():
    dogs = Watchdogs(1.5)
    for message in (FRAME, STIMULUS, EYE):
        dogs.mark_message(message, 0.0)
        dogs.mark_message(message, 0.1)
    dogs.pause_session()
    assert not dogs.take_notices(1000.0)


def test_messages_that_wait_at_the_daemon_are_not_missed():
    dogs = Watchdogs(1.5)
    for message in (FRAME, STIMULUS, EYE):
        dogs.mark_message(message, 0.0)
        dogs.mark_message(message, 0.1)
    dogs.mark_frames_held_back(100.0)
    assert not dogs.take_notices(100.5)


def test_a_frame_rate_that_was_measured_replaces_the_announced_one():
    dogs = Watchdogs(1.5)
    dogs.begin_session(30.0)
    dogs.mark_message(FRAME, 0.0)
    dogs.set_frame_rate(0.5)
    assert not dogs.take_notices(5.9)
    assert len(dogs.take_notices(6.1)) == 1
