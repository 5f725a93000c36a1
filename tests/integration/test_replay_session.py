"""Replay of a recorded session gives the same traces again, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.config import (
    EncoderSettings,
    InversionSettings,
    RecordingSettings,
    RegistrationSettings,
    Settings,
)
from rtrecon.protocol import messages
from rtrecon.replay.timed_messages import (
    read_logged_session,
)
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session as Record
from rtrecon.simulate.session import start_message_fields, stream_session
from rtrecon.testing.daemon_process import (
    START_TIMEOUT_S,
    DaemonProcess,
    make_settings,
)
from rtrecon.transport.senders import SessionSender
from tests.support import session_tables
from tests.support.command_line import run_here
from tests.support.trained_encoder import make_new_session, rebuild_world

SECONDS = 2.5
GRAY_LEVELS = 1  # that two movies may differ by: float32 is rounded
EXACT = (
    "frame",
    "seq",
    "t_microscope_s",
    "shift_y_px",
    "shift_x_px",
    "confidence",
    "is_accepted",
)


def make_replay_settings(folder: Path, checkpoint: Path) -> Settings:
    return make_settings(
        folder,
        encoder=EncoderSettings(checkpoint=str(checkpoint)),
        inversion=InversionSettings(deterministic=True, max_steps=4),
        recording=RecordingSettings(
            folder=str(folder / "recordings"), chunk_s=0.5, raw_messages=True
        ),
        # 40 of 75 frames; the others are queued until the template exists.
        registration=RegistrationSettings(template_frames=40),
    )


def find_last_hop(n_frames: int, settings: Settings) -> int:
    n_final = n_frames - settings.traces.deconvolution_lag_frames
    return n_final - n_final % settings.inversion.hop_frames


def wait_for_last_movie(
    daemon: DaemonProcess, n_frames: int, earlier_session: str = ""
) -> str:
    """Wait until a session is reconstructed to its end; return its id."""
    last = find_last_hop(n_frames, daemon.settings) - 1

    def is_complete() -> bool:
        newest = daemon.messages_of(messages.Movie)[-1:]
        return (
            bool(newest)
            and newest[0].session != earlier_session
            and newest[0].encoder_frame == last
        )

    daemon.wait_until(is_complete, START_TIMEOUT_S)
    return daemon.messages_of(messages.Movie)[-1].session


@pytest.fixture(scope="module")
def sessions(tmp_path_factory, small_checkpoint) -> tuple[Record, Record]:
    """A session of a simulated mouse, and its replay to the same daemon."""
    folder = tmp_path_factory.mktemp("recorded")
    settings = make_replay_settings(folder, small_checkpoint)
    truth = make_new_session(rebuild_world(small_checkpoint), SECONDS)
    sender = SessionSender(settings.network.frames, **start_message_fields(truth))
    sender.queue_timeout_s = START_TIMEOUT_S  # the daemon may hold frames back
    with DaemonProcess(folder, settings) as daemon:
        try:
            assert sender.wait_for_daemon()
            stream_session(truth, sender)
        finally:
            sender.close()
        recorded_id = wait_for_last_movie(daemon, len(truth))
        (recorded,) = daemon.recordings(recorded_id)
        replay_to(daemon, recorded.path, len(truth))
        replayed_id = wait_for_last_movie(daemon, len(truth), recorded_id)
        assert daemon.call("stop")["ok"]
        daemon.process.wait()
        (recorded,) = daemon.recordings(recorded_id)
        (replayed,) = daemon.recordings(replayed_id)
        return recorded, replayed


def replay_to(daemon: DaemonProcess, path: Path, n_frames: int) -> None:
    """Run the replay command as fast as the daemon takes frames."""
    address = daemon.settings.network.frames
    done = run_here("replay", path, "--to", address, "--speed", 0)
    assert done.returncode == 0, done.stderr
    assert f"{n_frames} frames sent" in done.stdout


@pytest.fixture
def recorded(sessions) -> Record:
    return sessions[0]


@pytest.fixture
def replayed(sessions) -> Record:
    return sessions[1]


def test_the_log_has_every_message_in_order(recorded):
    logged = list(read_logged_session(recorded))
    kinds = [type(timed.message) for timed in logged]
    assert (kinds[0], kinds[-1]) == (messages.SessionStart, messages.SessionEnd)
    assert kinds.count(messages.Frame) == len(recorded.frames)
    assert [timed.message.seq for timed in logged] == list(range(len(logged)))
    due_s = [timed.due_s for timed in logged]
    assert due_s == sorted(due_s)


def test_traces_are_identical(recorded, replayed):
    assert len(recorded.frames) == SECONDS * 30
    for column in EXACT:
        assert np.array_equal(recorded.frames[column], replayed.frames[column]), column
    assert (
        recorded.frames.read_values().tobytes()
        == replayed.frames.read_values().tobytes()
    )


def test_the_reference_is_identical(recorded, replayed):
    names = ["reference_plane0.npz"]
    for name in names:
        with np.load(recorded.path / name) as one, np.load(replayed.path / name) as two:
            assert set(one) == set(two)
            assert all(np.array_equal(one[key], two[key]) for key in one)


def test_activity_stimulus_and_behavior_are_identical(recorded, replayed):
    for name in ("activity", "stimulus", "behavior"):
        one, two = getattr(recorded, name), getattr(replayed, name)
        assert len(one) == len(two) > 0
        for column in one.columns:
            assert np.array_equal(one[column], two[column], equal_nan=True), column
    one, two = recorded.activity.read_values(), replayed.activity.read_values()
    assert one.tobytes() == two.tobytes()
    assert np.array_equal(
        recorded.stimulus.read_values(), replayed.stimulus.read_values()
    )


def test_the_same_steps_give_the_same_movie(recorded, replayed):
    for column in ("encoder_frame", "n_frames", "n_final", "n_steps"):
        assert np.array_equal(recorded.movie[column], replayed.movie[column])
    assert set(recorded.movie["n_steps"]) == {4}
    one = recorded.movie.read_values().astype(int)
    assert np.abs(one - replayed.movie.read_values()).max() <= GRAY_LEVELS
    assert one[-1].std() > 1  # not gray


def test_a_replay_has_a_session_id_of_its_own(recorded, replayed):
    assert recorded.about.session != replayed.about.session
    assert recorded.about.meta == replayed.about.meta


def test_a_session_without_images_is_an_error_sentence(tmp_path):
    recorder = Recorder(tmp_path, session_tables.make_about())
    recorder.close()
    done = run_here("replay", recorder.path, "--to", "tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert "recording.raw_messages was off" in done.stderr
