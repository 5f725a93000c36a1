from __future__ import annotations

import time

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.replay import recording as replaying
from rtrecon.replay.recording import ReplayError, replay
from rtrecon.sources.scanimage import RecordingError
from rtrecon.testing.listener import Listener
from rtrecon.testing.scanimage_file import pages, write_scanimage


@pytest.fixture
def address(free_address) -> str:
    return free_address()


def test_a_file_arrives_whole_with_its_numbers_and_times(tmp_path, address):
    pixels = pages(60)
    stamps = [(i + 11, 2.0 + i / 20) for i in range(60)]
    path = write_scanimage(tmp_path / "session.tif", pixels, stamps)
    with Listener(address) as listener:
        report = replay(path, address, speed=None)
    assert (report.frames_sent, report.frames_dropped, report.notice) == (60, 0, "")
    start = listener.messages[0][0]
    assert isinstance(start, messages.Start)
    assert (start.source, start.shape) == ("replay of session.tif", (12, 16))
    assert start.rate_hz == pytest.approx(20.0)
    frames = listener.frames()
    assert [f.frame for f, _ in frames] == [number for number, _ in stamps]
    assert [f.t for f, _ in frames] == [pytest.approx(t) for _, t in stamps]
    assert np.array_equal([p for _, p in frames], pixels)
    end = listener.messages[-1][0]
    assert isinstance(end, messages.End)
    assert (end.frames, end.dropped) == (60, 0)


def test_as_fast_as_taken_loses_nothing_to_a_slow_daemon(tmp_path, address):
    path = write_scanimage(tmp_path / "a.tif", pages(150, shape=(64, 64)))
    with Listener(address, pause_s=0.005, stall_s=0.3) as listener:
        report = replay(path, address, speed=None)
    assert (report.frames_sent, report.frames_dropped) == (150, 0)
    assert [f.frame for f, _ in listener.frames()] == list(range(1, 151))
    seqs = [message.seq for message, _ in listener.messages]
    assert seqs == list(range(len(seqs)))


def test_at_a_speed_what_a_stalled_daemon_does_not_take_is_counted(tmp_path, address):
    # 256 KiB each, so that the operating system's buffers do not swallow them.
    path = write_scanimage(tmp_path / "a.tif", pages(150, shape=(256, 512)))
    with Listener(address, stall_s=1.0) as listener:
        report = replay(path, address, speed=100.0)
    arrived = [f.frame for f, _ in listener.frames()]
    assert report.frames_dropped > 0
    assert report.frames_sent + report.frames_dropped == 150
    assert len(arrived) == report.frames_sent
    assert arrived == sorted(set(arrived))


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_frames_leave_at_their_recorded_times(tmp_path, address, speed):
    stamps = [(i + 1, t) for i, t in enumerate([0.0, 0.1, 0.2, 0.9, 1.0])]
    path = write_scanimage(tmp_path / "a.tif", pages(5), stamps)
    with Listener(address) as listener:
        report = replay(path, address, speed=speed)
    left = np.array([f.t_send for f, _ in listener.frames()])
    # Late by a scheduler's whim, never early.
    lateness = (left - left[0]) - np.array([t for _, t in stamps]) / speed
    assert np.all(lateness > -0.02)
    assert np.median(np.abs(lateness)) < 0.05
    assert report.wall_s >= 1.0 / speed - 0.02


def test_a_loop_goes_on_in_number_and_time(tmp_path, address):
    stamps = [(5, 1.0), (6, 1.1), (7, 1.2)]
    pixels = pages(3)
    path = write_scanimage(tmp_path / "a.tif", pixels, stamps)
    progress = []
    with Listener(address) as listener:
        replay(
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


def test_an_endless_replay_stops_when_told_and_says_end(tmp_path, address):
    path = write_scanimage(tmp_path / "a.tif", pages(2))

    def stop(sent: int, total: int | None) -> None:
        assert total is None
        if sent == 7:
            raise KeyboardInterrupt

    with Listener(address) as listener, pytest.raises(KeyboardInterrupt):
        replay(path, address, speed=None, loops=None, on_progress=stop)
    assert len(listener.frames()) == 7
    assert isinstance(listener.messages[-1][0], messages.End)


def test_a_cut_file_is_replayed_to_the_cut(tmp_path, address):
    path = write_scanimage(tmp_path / "a.tif", pages(4))
    path.write_bytes(path.read_bytes()[:-1])
    with Listener(address) as listener:
        report = replay(path, address, speed=None)
    assert len(listener.frames()) == report.frames_sent == 3
    assert "is cut short" in report.notice


def test_a_frame_that_cannot_be_read_stops_the_replay(tmp_path, address):
    mixed = [*pages(2), *pages(1, shape=(4, 4))]
    path = write_scanimage(tmp_path / "größer.tif", mixed)
    words = pytest.raises(RecordingError, match="frame 3 is int16")
    with Listener(address) as listener, words:
        replay(path, address, speed=None)
    assert len(listener.frames()) == 2


def test_without_a_daemon_there_is_a_sentence(tmp_path, address, monkeypatch):
    monkeypatch.setattr(replaying, "DAEMON_TIMEOUT_S", 0.2)
    path = write_scanimage(tmp_path / "a.tif", pages(2))
    began_s = time.monotonic()
    with pytest.raises(ReplayError, match="no daemon listens at tcp://"):
        replay(path, address)
    assert time.monotonic() - began_s < 5.0


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"speed": 0.0}, "speed 0.0"),
        ({"speed": -1.0}, "speed"),
        ({"loops": 0}, "0 loops"),
    ],
)
def test_senseless_choices_are_refused(tmp_path, address, choice, words):
    with pytest.raises(ReplayError, match=words):
        replay(tmp_path / "never opened.tif", address, **choice)
