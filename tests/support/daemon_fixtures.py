"""Fixtures: a shared daemon, and a check of every daemon's frame counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rtrecon.protocol import messages
from rtrecon.session.frame_balance import balance_frames
from rtrecon.testing.daemon_process import DaemonProcess
from rtrecon.testing.simulated_microscope import make_small_settings


@pytest.fixture(scope="session")
def small_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon without encoder; each test uses it with sessions of its own."""
    folder = tmp_path_factory.mktemp("small_daemon")
    with DaemonProcess(folder, make_small_settings(folder)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def short_preparation() -> Iterator[None]:
    """Make simulated mice, and the templates of their fields, from shorter movies.

    The mice differ slightly from those of users, so only modules that make all their
    mice themselves may use this.
    """
    from rtrecon.analysis.evaluation import (
        simulated_rig,  # brings torch, which most tests do without
    )

    simulated_rig._make_mouse.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtrecon.simulate.imaged_mouse._CALIBRATION_FRAMES", 300)
        patch.setattr("rtrecon.training.simulated._TEMPLATE_FRAMES", 30)
        patch.setattr(simulated_rig, "_LEAD_FRAMES", 60)
        yield
    simulated_rig._make_mouse.cache_clear()


@pytest.fixture(autouse=True)
def _every_frame_is_accounted_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which a daemon lost a frame that is in none of its counts.

    In each health of each daemon: received = processed + queued + each kind of loss.
    """
    receive = DaemonProcess.receive
    unexplained: list[messages.Health] = []

    def receive_and_check(daemon: DaemonProcess, wait_s: float = 0.0) -> None:
        n_before = len(daemon.received)
        receive(daemon, wait_s)
        unexplained.extend(
            message
            for message, _ in daemon.received[n_before:]
            if isinstance(message, messages.Health)
            and message.process == "daemon"
            and balance_frames(message).n_unexplained
        )

    monkeypatch.setattr(DaemonProcess, "receive", receive_and_check)
    yield
    assert not unexplained, f"frames without a count: {unexplained[0]}"
