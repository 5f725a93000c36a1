"""A session without raw messages: frames from a file, the rest from its tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from rtrecon.protocol import messages
from rtrecon.replay.timed_messages import (
    NothingToReplayError,
    describe_log_damage,
    read_logged_session,
    rebuild_from_tables,
)
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.tables import RAW_MESSAGES_FILE
from rtrecon.sources.recording import RecordedFrame
from tests.support import recorded_session as world
from tests.support import session_tables


class Images:
    """Frames of a file; the session never received some of them."""

    name, rate_hz, channels, planes = "file.tif", 30.0, (1,), (0.0,)
    shape, dtype = (2, 3), np.dtype(np.int16)

    def __init__(self, numbers: range) -> None:
        self._numbers = numbers

    def frames(self) -> Iterator[RecordedFrame]:
        for number in self._numbers:
            pixels = np.full(self.shape, number, np.int16)
            yield RecordedFrame(number, t_s=1e6 + number, pixels=pixels)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    return Session(world.record_session(tmp_path_factory.mktemp("recordings")))


def test_images_of_a_file_get_the_times_of_the_session(session):
    rebuilt = list(rebuild_from_tables(session, Images(range(-3, 10))))
    first, *others, last = [timed.message for timed in rebuilt]
    assert isinstance(first, messages.SessionStart)
    assert first.shape == (2, 3)
    assert isinstance(last, messages.SessionEnd)
    assert [m.seq for m in [first, *others, last]] == list(range(len(others) + 2))
    frames = [m for m in others if isinstance(m, messages.Frame)]
    assert [m.frame for m in frames] == list(range(10))
    assert [m.t for m in frames] == pytest.approx(world.T0_S + np.arange(10) / 30)
    # As at the rig: what belongs to a frame is sent before it.
    kinds = [type(message) for message in others[:6]]
    assert (
        kinds == [messages.BehaviorSample, messages.StimulusFrame, messages.Frame] * 2
    )
    stimulus = [m for m in others if isinstance(m, messages.StimulusFrame)]
    times_s = world.T0_S + np.arange(len(stimulus)) / 30
    assert [m.t for m in stimulus] == pytest.approx(times_s)


def test_the_file_of_another_session_is_refused(session):
    with pytest.raises(NothingToReplayError, match="the file of another session"):
        list(rebuild_from_tables(session, Images(range(1000, 1010))))


def test_a_session_without_frames_is_an_error_sentence(tmp_path):
    recorder = Recorder(tmp_path, session_tables.make_about())
    recorder.close()
    with pytest.raises(NothingToReplayError, match="holds no frame"):
        list(rebuild_from_tables(Session(recorder.path), Images(range(3))))


@pytest.fixture
def logged(tmp_path) -> Path:
    """A session with five frames, of which all messages were recorded."""
    about = session_tables.make_about()
    recorder = Recorder(tmp_path, about, raw_messages=True)
    for i in range(5):
        received_s = 100.1 + i
        message = messages.SyncEdge(session="s", seq=i, t_send=0.0, line=0, value=1)
        recorder.add_raw_message(messages.encode_incoming(message), received_s)
        row = replace(session_tables.make_frame_row(i), t_received_s=received_s)
        recorder.add_frame(row, session_tables.make_traces(i))
    recorder.close()
    return recorder.path


def test_an_intact_log_has_no_notice_and_gets_an_end(logged):
    session = Session(logged)
    *rest, last = read_logged_session(session)
    assert [timed.due_s for timed in rest] == pytest.approx(100.1 + np.arange(5))
    assert isinstance(last.message, messages.SessionEnd)
    assert describe_log_damage(session) == ""


def test_the_notice_of_a_cut_log_names_the_seconds_lost(logged):
    file = logged / RAW_MESSAGES_FILE
    file.write_bytes(file.read_bytes()[:-5])
    session = Session(logged)
    assert len(list(read_logged_session(session))) == 4 + 1
    notice = describe_log_damage(session)
    assert RAW_MESSAGES_FILE in notice
    assert "the last 1.0 s of the session were not replayed" in notice
