"""Replay of a recording file to a listener in place of the daemon."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.replay.client import DAEMON_TIMEOUT_S, ReplayError
from rtrecon.replay.recording import replay_recording
from rtrecon.sources.scanimage_header import RecordingError
from rtrecon.testing.frame_receiver import FrameReceiver
from rtrecon.testing.scanimage_file import make_pages, write_scanimage


@pytest.fixture
def address(free_address) -> str:
    return free_address()


def test_every_frame_arrives_with_its_number_and_time(tmp_path, address):
    pixels = make_pages(60)
    stamps = [(i + 11, 2.0 + i / 20) for i in range(60)]
    path = write_scanimage(tmp_path / "session.tif", pixels, stamps)
    with FrameReceiver(address) as listener:
        report = replay_recording(path, address, speed=None)
    assert (report.frames_sent, report.frames_dropped, report.notice) == (60, 0, "")
    start = listener.received[0][0]
    assert isinstance(start, messages.SessionStart)
    assert (start.source, start.shape) == ("replay of session.tif", (12, 16))
    assert start.rate_hz == pytest.approx(20.0)
    frames = listener.frames()
    assert [f.frame for f, _ in frames] == [number for number, _ in stamps]
    assert [f.t for f, _ in frames] == [pytest.approx(t) for _, t in stamps]
    assert np.array_equal([p for _, p in frames], pixels)
    end = listener.received[-1][0]
    assert isinstance(end, messages.SessionEnd)
    assert (end.frames, end.dropped) == (60, 0)


def test_replay_without_speed_loses_no_frame_to_a_slow_daemon(tmp_path, address):
    path = write_scanimage(tmp_path / "a.tif", make_pages(150, shape=(64, 64)))
    with FrameReceiver(address, pause_s=0.005, stall_s=0.3) as listener:
        report = replay_recording(path, address, speed=None)
    assert (report.frames_sent, report.frames_dropped) == (150, 0)
    assert [f.frame for f, _ in listener.frames()] == list(range(1, 151))
    seqs = [message.seq for message, _ in listener.received]
    assert seqs == list(range(len(seqs)))


def test_replay_at_a_speed_is_late_but_complete_if_the_daemon_stalls(tmp_path, address):
    # 256 KiB each, so that the operating system's buffers do not swallow them.
    path = write_scanimage(tmp_path / "a.tif", make_pages(150, shape=(256, 512)))
    with FrameReceiver(address, stall_s=1.0) as listener:
        report = replay_recording(path, address, speed=100.0)
    assert (report.frames_sent, report.frames_dropped) == (150, 0)
    assert [f.frame for f, _ in listener.frames()] == list(range(1, 151))
    assert listener.received[0][0].can_wait


def test_no_frame_leaves_before_its_recorded_time(tmp_path, address):
    """The scheduler can make a frame late; tests of `Pacing` show by how much."""
    speed, recorded_s = 2.0, [0.0, 0.1, 0.2, 0.9, 1.0]
    stamps = list(enumerate(recorded_s, start=1))
    path = write_scanimage(tmp_path / "a.tif", make_pages(5), stamps)
    with FrameReceiver(address) as listener:
        begun_s = time.time()
        report = replay_recording(path, address, speed=speed)
    left_s = np.array([f.t_send for f, _ in listener.frames()])
    # From the beginning: a first frame that is late itself makes others seem early.
    lateness_s = (left_s - begun_s) - np.array(recorded_s) / speed
    assert np.all(lateness_s > -0.02)
    assert report.wall_s >= recorded_s[-1] / speed - 0.02


@pytest.mark.parametrize("speed", [None, 1e4])
def test_a_long_recording_is_replayed_in_no_time(tmp_path, address, speed):
    recorded_s = [0.0, 100.0, 400.0]
    stamps = list(enumerate(recorded_s, start=1))
    path = write_scanimage(tmp_path / "a.tif", make_pages(3), stamps)
    with FrameReceiver(address) as listener:
        report = replay_recording(path, address, speed=speed)
    assert report.wall_s < recorded_s[-1] / 4
    assert len(listener.frames()) == 3


def test_frame_numbers_and_times_continue_in_the_next_loop(tmp_path, address):
    stamps = [(5, 1.0), (6, 1.1), (7, 1.2)]
    pixels = make_pages(3)
    path = write_scanimage(tmp_path / "a.tif", pixels, stamps)
    progress = []
    with FrameReceiver(address) as listener:
        replay_recording(
            path,
            address,
            speed=None,
            loops=3,
            on_progress=lambda sent, total: progress.append((sent, total)),
        )
    frames = listener.frames()
    assert [f.frame for f, _ in frames] == list(range(5, 14))
    assert [f.t for f, _ in frames] == pytest.approx(1.0 + 0.1 * np.arange(9))
    assert np.array_equal(frames[7][1], pixels[1])
    assert progress == [(i, 9) for i in range(1, 10)]


def test_an_endless_replay_that_is_interrupted_sends_end(tmp_path, address):
    path = write_scanimage(tmp_path / "a.tif", make_pages(2))

    def stop(sent: int, total: int | None) -> None:
        assert total is None
        if sent == 7:
            raise KeyboardInterrupt

    with FrameReceiver(address) as listener, pytest.raises(KeyboardInterrupt):
        replay_recording(path, address, speed=None, loops=None, on_progress=stop)
    assert len(listener.frames()) == 7
    assert isinstance(listener.received[-1][0], messages.SessionEnd)


def test_a_file_that_is_cut_short_is_replayed_up_to_there(tmp_path, address):
    path = write_scanimage(tmp_path / "a.tif", make_pages(4))
    path.write_bytes(path.read_bytes()[:-1])
    with FrameReceiver(address) as listener:
        report = replay_recording(path, address, speed=None)
    assert len(listener.frames()) == report.frames_sent == 3
    assert "is truncated" in report.notice


def test_a_frame_that_cannot_be_read_stops_the_replay(tmp_path, address):
    mixed = [*make_pages(2), *make_pages(1, shape=(4, 4))]
    path = write_scanimage(tmp_path / "größer.tif", mixed)
    words = pytest.raises(RecordingError, match="frame 3 is int16")
    with FrameReceiver(address) as listener, words:
        replay_recording(path, address, speed=None)
    assert len(listener.frames()) == 2


def test_a_missing_daemon_is_an_error_sentence(tmp_path, address):
    path = write_scanimage(tmp_path / "a.tif", make_pages(2))
    began_s = time.monotonic()
    with pytest.raises(ReplayError, match="no daemon listens at tcp://"):
        replay_recording(path, address, timeout_s=0.2)
    assert time.monotonic() - began_s < DAEMON_TIMEOUT_S  # which a user waits


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"speed": 0.0}, "speed 0.0"),
        ({"speed": -1.0}, "speed"),
        ({"loops": 0}, "0 loops"),
    ],
)
def test_invalid_speed_and_loops_are_refused(tmp_path, address, choice, words):
    with pytest.raises(ReplayError, match=words):
        replay_recording(tmp_path / "never opened.tif", address, **choice)
