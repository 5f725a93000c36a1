"""A process does not outlive the one that it was started for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rtrecon import config
from rtrecon.config import EncoderSettings
from rtrecon.core.process import Parent
from rtrecon.testing.daemon_process import SLOW_S, settings_in
from rtrecon.testing.waiting import until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def gone() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_process_is_there_until_it_is_killed_though_nobody_has_taken_note():
    with subprocess.Popen(SLEEP) as process:
        parent = Parent(process.pid)
        assert parent.is_there()
        process.kill()  # and, where such things are, a zombie until it is asked for
        until(lambda: not parent.is_there())
    assert not Parent(process.pid).is_there()


@pytest.mark.parametrize("station", ["invert", "reactor"])
def test_a_station_whose_daemon_was_gone_before_it_was_up_ends(tmp_path, station):
    settings = settings_in(tmp_path, encoder=EncoderSettings(checkpoint="demo"))
    ended = subprocess.run(
        [sys.executable, "-m", "rtrecon", station, "--front", str(gone())],
        input=config.dump(settings).encode(),
        capture_output=True,
        timeout=SLOW_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
