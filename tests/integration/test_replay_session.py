"""A session that was recorded with its frames, replayed: the same again, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrecon.config import (
    EncoderSettings,
    InvertSettings,
    RecordSettings,
    RegisterSettings,
    Settings,
)
from rtrecon.protocol import messages
from rtrecon.replay.timed_messages import NothingToReplay, from_log, from_tables
from rtrecon.session import message_log
from rtrecon.session.message_log import IncomingLog, read_incoming
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session as Record
from rtrecon.simulate.session import start_fields, stream
from rtrecon.sources.recording import RecordedFrame
from rtrecon.testing.daemon_process import (
    PROMPT_S,
    SLOW_S,
    Daemon,
    Program,
    rtrecon,
    settings_in,
)
from rtrecon.transport.sender import Sender
from tests.support import session_tables
from tests.support.trained_encoder import new_session, world_of

SECONDS = 4.0
GRAY_LEVELS = 1  # that two movies may differ by: float32 is rounded
EXACT = ("frame", "seq", "t", "shift_y_px", "shift_x_px", "confidence", "trusted")


def settings_of(folder: Path, checkpoint: Path) -> Settings:
    return settings_in(
        folder,
        encoder=EncoderSettings(checkpoint=str(checkpoint)),
        invert=InvertSettings(deterministic=True, max_steps=4),
        record=RecordSettings(
            folder=str(folder / "recordings"), chunk_s=0.5, frames=True
        ),
        register_=RegisterSettings(template_frames=40),  # of 120: others must wait
    )


def last_hop(n_frames: int, settings: Settings) -> int:
    settled = n_frames - settings.traces.deconvolve_lag_frames
    return settled - settled % settings.invert.hop_frames


def finish(daemon: Daemon, n_frames: int) -> Record:
    """Wait until all has been done, end the daemon, return what it recorded."""
    last = last_hop(n_frames, daemon.settings) - 1
    daemon.until(
        lambda: [m.index for m in daemon.all(messages.Movie)][-1:] == [last], SLOW_S
    )
    assert daemon.ask("stop")["ok"]
    daemon.process.wait()
    daemon.listen()
    (session,) = {event.session for event in daemon.events("session")}
    (record,) = daemon.records(session)
    return record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, small_checkpoint) -> Record:
    """A session of a mouse with a stimulus program and a camera of their own clock."""
    folder = tmp_path_factory.mktemp("recorded")
    settings = settings_of(folder, small_checkpoint)
    truth = new_session(world_of(small_checkpoint), SECONDS)
    sender = Sender(settings.wire.frames, **start_fields(truth))
    sender.wait_s = SLOW_S  # the daemon may hold frames back
    try:
        with Daemon(folder, settings) as daemon:
            assert sender.wait_for_daemon()
            stream(truth, sender)
            return finish(daemon, len(truth))
    finally:
        sender.close()


def test_nothing_that_came_is_missing(recorded):
    cues = list(from_log(recorded))
    kinds = [type(cue.message) for cue in cues]
    assert (kinds[0], kinds[-1]) == (messages.Start, messages.End)
    assert kinds.count(messages.Frame) == len(recorded.frames)
    assert [cue.message.seq for cue in cues] == list(range(len(cues)))
    due_s = [cue.due_s for cue in cues]
    assert due_s == sorted(due_s)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory, small_checkpoint, recorded) -> Record:
    folder = tmp_path_factory.mktemp("replayed")
    settings = settings_of(folder, small_checkpoint)
    arguments = "replay", recorded.path, "--to", settings.wire.frames, "--speed", 0
    with (
        Daemon(folder, settings) as daemon,
        Program(folder / "replay.log", *arguments) as replay,
    ):
        daemon.until(lambda: replay.process.poll() is not None, SLOW_S)
        assert replay.process.returncode == 0, replay.said
        assert f"{len(recorded.frames)} frames sent" in replay.said
        return finish(daemon, len(recorded.frames))


def test_traces_are_the_same_to_the_bit(recorded, replayed):
    assert len(recorded.frames) == SECONDS * 30
    for column in EXACT:
        assert np.array_equal(recorded.frames[column], replayed.frames[column]), column
    assert recorded.frames.values().tobytes() == replayed.frames.values().tobytes()


def test_so_is_the_reference_that_they_stand_on(recorded, replayed):
    names = ["reference_plane0.npz"]
    for name in names:
        with np.load(recorded.path / name) as one, np.load(replayed.path / name) as two:
            assert set(one) == set(two)
            assert all(np.array_equal(one[key], two[key]) for key in one)


def test_so_are_activity_stimulus_and_behaviour(recorded, replayed):
    for name in ("activity", "stimulus", "behavior"):
        one, two = getattr(recorded, name), getattr(replayed, name)
        assert len(one) == len(two) > 0
        for column in one.columns:
            assert np.array_equal(one[column], two[column], equal_nan=True), column
    one, two = recorded.activity.values(), replayed.activity.values()
    assert one.tobytes() == two.tobytes()
    assert np.array_equal(recorded.stimulus.values(), replayed.stimulus.values())


def test_the_same_steps_give_the_same_movie(recorded, replayed):
    for column in ("index", "count", "final", "steps"):
        assert np.array_equal(recorded.movie[column], replayed.movie[column])
    assert set(recorded.movie["steps"]) == {4}
    one = recorded.movie.values().astype(int)
    assert np.abs(one - replayed.movie.values()).max() <= GRAY_LEVELS
    assert one[-1].std() > 1  # not gray


def test_a_replay_is_a_session_of_its_own(recorded, replayed):
    assert recorded.about.session != replayed.about.session
    assert recorded.about.meta == replayed.about.meta


# -- images from a file, the rest from the tables -------------------------------------


class Images:
    """Frames of a file, some of which the session never saw."""

    name, rate_hz, channels, planes = "file.tif", 30.0, (1,), (0.0,)
    shape, dtype = (2, 3), np.dtype(np.int16)

    def __init__(self, numbers: range) -> None:
        self._numbers = numbers

    def frames(self) -> Iterator[RecordedFrame]:
        for number in self._numbers:
            pixels = np.full(self.shape, number, np.int16)
            yield RecordedFrame(number, t_s=1e6 + number, pixels=pixels)


def test_images_of_a_file_are_put_where_the_session_saw_them(recorded):
    cues = list(from_tables(recorded, Images(range(-3, 11))))
    first, *cues, last = [cue.message for cue in cues]
    assert (type(first), first.shape, type(last)) == (
        messages.Start,
        (2, 3),
        messages.End,
    )
    assert [m.seq for m in [first, *cues, last]] == list(range(len(cues) + 2))
    frames = [m for m in cues if isinstance(m, messages.Frame)]
    assert [m.frame for m in frames] == list(range(1, 11))
    assert [m.t for m in frames] == pytest.approx(np.arange(10) / 30)
    # As the rig sends them: what belongs to a frame comes before it.
    kinds = [type(m).__name__ for m in cues[:6]]
    assert kinds == ["Behavior", "Stimulus", "Frame"] * 2
    shown = [m for m in cues if isinstance(m, messages.Stimulus)]
    assert [m.t for m in shown] == pytest.approx(np.arange(len(shown)) / 30)


def test_a_file_of_another_session_is_refused(recorded):
    with pytest.raises(NothingToReplay, match="the file of another session"):
        list(from_tables(recorded, Images(range(1000, 1010))))


def test_a_session_without_images_says_what_to_do(tmp_path):
    recorder = Recorder(tmp_path, session_tables.about())
    recorder.close()
    arguments = "replay", recorder.path, "--to", "tcp://127.0.0.1:9"
    done = rtrecon(*arguments)
    assert (done.returncode, "record.frames was off" in done.stderr) == (2, True)
    with pytest.raises(NothingToReplay, match="has seen no frame"):
        list(from_tables(Record(recorder.path), Images(range(3))))


# -- the file of all that came in ------------------------------------------------------


def no_failure(error: Exception) -> None:
    raise AssertionError(error)


def logged(path: Path, payloads: list[bytes]) -> None:
    log = IncomingLog(path, no_failure)
    for number, payload in enumerate(payloads):
        log.put([f"{number}".encode(), payload], float(number))
    assert log.close(PROMPT_S)
    assert log.lost == 0


def test_what_came_is_read_again_byte_for_byte(tmp_path):
    payloads = [b"", b"\0" * 1000, b"RTRM"]
    logged(tmp_path / "log", payloads)
    came = list(read_incoming(tmp_path / "log"))
    assert [c.payload for c in came] == payloads
    assert [c.header for c in came] == [b"0", b"1", b"2"]
    assert [c.t_received for c in came] == [0.0, 1.0, 2.0]


@given(cut=st.integers(0, 3 * 26 + 30))
@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
def test_a_file_cut_anywhere_is_whole_up_to_there(tmp_path, cut):
    path, payloads = tmp_path / f"log{cut}", [b"a" * 10, b"", b"b" * 20]
    if not path.exists():
        logged(path, payloads)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    came = [c.payload for c in read_incoming(path)]
    assert came == payloads[: len(came)]
    path.write_bytes(whole)


def test_what_a_slow_disk_does_not_take_is_lost_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(message_log, "MOST_WAITING_BYTES", 1000)
    log = IncomingLog(tmp_path / "log", no_failure)
    log.put([b"h", b"\0" * 2000], 0.0)  # can never be held
    log.put([b"h", b"\0" * 500], 1.0)
    assert log.close(PROMPT_S)
    assert log.lost == 1
    assert [c.t_received for c in read_incoming(tmp_path / "log")] == [1.0]


def test_a_disk_that_fails_is_told_once(tmp_path):
    told: list[Exception] = []
    log = IncomingLog(tmp_path / "no such folder" / "log", told.append)
    assert log.close(PROMPT_S)
    log.put([b"h", b""], 0.0)
    assert (len(told), log.lost) == (1, 1)
