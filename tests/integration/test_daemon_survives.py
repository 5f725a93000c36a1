"""An exception in the way of one message never ends the daemon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from rtrecon.daemon.auxiliary_alignment import AuxiliaryAlignment
from rtrecon.daemon.daemon import Daemon
from rtrecon.daemon.health import HealthReporter
from rtrecon.daemon.message_intake import MessageIntake
from rtrecon.daemon.pipeline import Pipeline
from rtrecon.daemon.session_recording import SessionRecording
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import N_TEMPLATE
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SHAPE,
    make_small_frames,
    make_small_settings,
)
from rtrecon.transport.senders import SessionSender

TIMEOUT_S = 60.0


class RunningDaemon:
    """A daemon in a thread of this process, so that tests can break it."""

    def __init__(self, folder) -> None:
        self.sentences: list[str] = []
        self.folder = folder
        self.settings = make_small_settings(folder)
        self.daemon = Daemon(self.settings, self.sentences.append)
        self._thread = threading.Thread(target=self.daemon.run)
        self._thread.start()
        self.sender = SessionSender(
            self.settings.network.frames, source="scope", rate_hz=RATE_HZ, shape=SHAPE
        )
        self.sender.queue_timeout_s = TIMEOUT_S
        assert self.sender.wait_for_daemon(TIMEOUT_S)
        self._frames = make_small_frames()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def n_processed(self) -> int:
        pipeline = self.daemon._sessions.pipeline
        return pipeline.output.n_processed if pipeline else 0

    def send_frames(self, count: int) -> None:
        for _ in range(count):
            number = self.sender.n_sent
            pixels = self._frames[number % len(self._frames)]
            self.sender.send_frame(pixels, number + 1, number / RATE_HZ)

    def wait_until(self, condition: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline_s, self.sentences
            assert self.is_alive, self.sentences
            time.sleep(0.01)

    def errors(self) -> list[str]:
        return [text for text in self.sentences if "the daemon goes on" in text]

    def close(self) -> None:
        self.sender.close()
        self.daemon.stop()
        self._thread.join()
        self.daemon.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    running = RunningDaemon(tmp_path_factory.mktemp("survives"))
    running.send_frames(2 * N_TEMPLATE)
    running.wait_until(lambda: running.n_processed >= 2 * N_TEMPLATE)
    yield running
    running.close()


def send_stimulus(sender: SessionSender) -> None:
    sender.send_stimulus(np.zeros((36, 64), np.uint8), "c", 0, 1.0)


BROKEN = {  # what is broken, what makes the daemon use it
    "stimulus": (
        AuxiliaryAlignment,
        "_align",
        lambda running: send_stimulus(running.sender),
    ),
    "behavior": (
        AuxiliaryAlignment,
        "_find_microscope_time",
        lambda running: running.sender.send_behavior(1.0, pupil_dilation=1.0),
    ),
    "sync": (
        AuxiliaryAlignment,
        "add_sync_edge",
        lambda running: running.sender.send_sync_edge(1.0, 1, 1),
    ),
    "frame": (Pipeline, "add_frame", lambda running: running.send_frames(1)),
    "message": (MessageIntake, "_record", lambda running: running.send_frames(1)),
    "health": (HealthReporter, "_count_lost", lambda running: None),
    "disk": (SessionRecording, "get_free_disk_gb", lambda running: None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_exception_is_reported_once_and_the_daemon_goes_on(
    running, monkeypatch, name
):
    broken_class, method, use = BROKEN[name]
    n_before = len(running.errors())

    def fail(*_args, **_kwargs):
        raise ZeroDivisionError(f"broken {name}")

    with monkeypatch.context() as patch:
        patch.setattr(broken_class, method, fail)
        use(running)
        use(running)
        running.wait_until(lambda: len(running.errors()) > n_before)
        time.sleep(0.1)
    (sentence,) = running.errors()[n_before:]
    assert f"failed: ZeroDivisionError: broken {name}" in sentence
    path = running.settings.recording.folder
    log = (type(running.folder)(path) / "errors.log").read_text()
    assert log.count(f"ZeroDivisionError: broken {name}") == 1
    n_processed = running.n_processed
    running.send_frames(5)
    running.wait_until(lambda: running.n_processed >= n_processed + 5)


def test_messages_are_never_lost_without_a_count(running):
    health = []
    running.daemon._context.publisher.publish = _spy(
        running.daemon._context.publisher.publish, health
    )
    running.wait_until(lambda: health)
    lost = health[-1].lost
    assert lost["failed"] >= 1  # frames of the test above
    assert lost["record"] == 0


def _spy(publish, health: list[messages.Health]):
    def publish_and_hold(message_class, *args, **fields):
        message = publish(message_class, *args, **fields)
        if message_class is messages.Health:
            health.append(message)
        return message

    return publish_and_hold
