"""A daemon that several modules share, because starting one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rtrecon.testing.daemon_process import DaemonProcess
from rtrecon.testing.simulated_microscope import make_small_settings


@pytest.fixture(scope="session")
def small_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon without encoder; each test uses it with sessions of its own."""
    folder = tmp_path_factory.mktemp("small_daemon")
    with DaemonProcess(folder, make_small_settings(folder)) as daemon:
        yield daemon
