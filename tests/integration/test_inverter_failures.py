"""A frozen, killed or broken inverter, and a killed daemon; the order matters.

One daemon with an inverter is shared: the inverter is frozen, then killed, and in the
end the daemon is killed.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from rtrecon.config import EncoderSettings
from rtrecon.daemon.watchdog import INVERTER_TIMEOUT_S
from rtrecon.protocol import messages
from rtrecon.simulate.session import start_message_fields
from rtrecon.testing.daemon_process import (
    REPLY_TIMEOUT_S,
    START_TIMEOUT_S,
    DaemonProcess,
    make_settings,
)
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SimulatedMicroscope,
    stream_and_receive,
)
from rtrecon.transport.senders import SessionSender
from tests.support.changed_constants import ChangedDaemon
from tests.support.trained_encoder import make_new_session, rebuild_world

LOAD_MARGIN_S = 10.0  # that a loaded machine may add
LONGEST_S = 40.0  # of a session, which ends when its test does
N_ATTEMPTS = 2  # instead of three, which the test of the supervisor counts
FEWER_ATTEMPTS = {
    "rtrecon.daemon.supervisor._MAX_EARLY_EXITS": N_ATTEMPTS,
    "rtrecon.daemon.supervisor._RESTART_DELAY_S": 0.1,
}


@pytest.fixture(scope="module")
def truth(small_checkpoint):
    return make_new_session(rebuild_world(small_checkpoint), LONGEST_S)


@pytest.fixture(scope="module")
def inverting_daemon(tmp_path_factory, small_checkpoint):
    folder = tmp_path_factory.mktemp("inverting")
    encoder = EncoderSettings(checkpoint=small_checkpoint)
    with DaemonProcess(folder, make_settings(folder, encoder=encoder)) as daemon:
        yield daemon


@contextlib.contextmanager
def connect_sender(daemon: DaemonProcess, truth):
    address = daemon.settings.network.frames
    sender = SessionSender(address, **start_message_fields(truth))
    try:
        assert sender.wait_for_daemon()
        yield sender
    finally:
        sender.close()


def list_sentences(daemon: DaemonProcess, name: str) -> list[str]:
    """Return the sentences of the events of a name that are about the inverter."""
    sentences = [event.message for event in daemon.events_named(name)]
    return [sentence for sentence in sentences if "inverter" in sentence]


def test_a_frozen_inverter_is_reported_and_so_is_its_return(inverting_daemon):
    daemon = inverting_daemon
    pid = daemon.call("status")["inverter_pid"]
    psutil.Process(pid).suspend()
    daemon.wait_until(lambda: list_sentences(daemon, "stalled"))
    psutil.Process(pid).resume()
    daemon.wait_until(lambda: list_sentences(daemon, "resumed"))
    assert daemon.call("status")["inverter_pid"] == pid
    (stalled,), (resumed,) = (
        list_sentences(daemon, "stalled"),
        list_sentences(daemon, "resumed"),
    )
    assert "no message of the inverter" in stalled
    silent_s = float(re.search(r"for ([\d.]+) s", stalled)[1])
    assert INVERTER_TIMEOUT_S <= silent_s < INVERTER_TIMEOUT_S + LOAD_MARGIN_S
    assert "the inverter responds again" in resumed


def test_a_killed_inverter_is_replaced_and_a_killed_daemon_ends_it(
    inverting_daemon, truth
):
    """The two are one test, for no process may be left running between tests."""
    check_killed_inverter(inverting_daemon, truth)
    check_killed_daemon(inverting_daemon, truth)


def check_killed_inverter(daemon: DaemonProcess, truth) -> None:
    """Kill the inverter: it is replaced, and no frame is lost."""
    first_pid = daemon.call("status")["inverter_pid"]
    before: list[int] = []  # index of the last movie of the first inverter

    def kill_and_wait(_: int) -> bool:
        movies = [movie.encoder_frame for movie in daemon.messages_of(messages.Movie)]
        if not before and len(movies) >= 10:
            psutil.Process(first_pid).kill()
            before.append(movies[-1])
        return bool(before) and len([i for i in movies if i > before[0] + 30]) >= 5

    with connect_sender(daemon, truth) as sender:
        stream_and_receive(truth, sender, daemon, until=kill_and_wait)
        daemon.wait_until(
            lambda: daemon.newest_health().frames_processed == sender.n_sent
        )
    status, health = daemon.call("status"), daemon.newest_health()
    assert (sender.n_dropped, health.rejected_messages) == (0, 0)
    assert health.gaps == messages.GapCounts()
    assert status["inverter_restarts"] == 1
    assert status["inverter_pid"] != first_pid
    (event,) = daemon.events_named("inverter")
    assert "it is started again" in event.message
    # The recording has a movie before and after the gap, and the gap where it was.
    (recording,) = daemon.recordings(sender.session)
    index = recording.movie["encoder_frame"]
    gaps = np.flatnonzero(np.diff(index) > 2 * recording.about.hop_frames)
    assert np.abs(index[gaps] - before[0]).min() <= recording.about.hop_frames
    assert "inverter" in [event.name for event in recording.events]


def check_killed_daemon(daemon: DaemonProcess, truth) -> None:
    """Kill the daemon: a second of data is lost at most, and the inverter exits."""
    inverter = psutil.Process(daemon.call("status")["inverter_pid"])
    n_frames = 3.5 * RATE_HZ
    with connect_sender(daemon, truth) as sender:
        stream_and_receive(truth, sender, daemon, until=lambda i: i >= n_frames)
        daemon.receive(0.2)
        daemon.kill()
    newest = daemon.messages_of(messages.Activity)[-1].frame
    inverter.wait(REPLY_TIMEOUT_S)
    assert not inverter.is_running()
    (recording,) = daemon.recordings(sender.session)
    frames = recording.frames["frame"].tolist()
    assert frames == list(range(1, len(frames) + 1))
    assert len(frames) > newest - RATE_HZ
    assert np.isfinite(recording.frames.read_values()).all()
    assert recording.activity["encoder_frame"][-1] > newest - 2 - RATE_HZ
    assert len(recording.movie) > 0
    assert recording.events[0].name == "session"


def test_an_inverter_that_cannot_start_is_not_started_for_ever(
    tmp_path, small_checkpoint
):
    broken = remove_weights(small_checkpoint, tmp_path / "broken.safetensors")
    settings = make_settings(tmp_path, encoder=EncoderSettings(checkpoint=broken))

    def is_given_up() -> bool:
        sentences = list_sentences(daemon, "inverter")
        return any("no movie until the daemon is restarted" in s for s in sentences)

    with (
        ChangedDaemon(tmp_path, settings, FEWER_ATTEMPTS, wait=False) as daemon,
        SimulatedMicroscope(daemon) as microscope,
    ):
        microscope.send_frames_until(is_given_up, N_ATTEMPTS * START_TIMEOUT_S)
        health = microscope.wait_until_processed()
        assert daemon.call("status")["inverter_pid"] is None
    assert health.frames_processed == microscope.n_sent
    assert len(daemon.events_named("inverter")) == N_ATTEMPTS
    assert f"checkpoint {broken} does not hold a whole encoder" in daemon.output
    assert "Traceback" not in daemon.output


def remove_weights(checkpoint: Path, path: Path) -> Path:
    """Write a checkpoint without the weights of its model."""
    with safe_open(checkpoint, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(checkpoint)
    rest = {key: tensors[key] for key in tensors if not key.startswith("encoder.")}
    save_file(rest, path, metadata)
    return path
