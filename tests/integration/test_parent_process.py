"""A process does not outlive the one that it was started for."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from rtrecon import config
from rtrecon.config import EncoderSettings
from rtrecon.core.process import ParentProcess, lower_priority
from rtrecon.testing.daemon_process import START_TIMEOUT_S, make_settings
from rtrecon.testing.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def gone() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_killed_process_counts_as_ended_before_it_is_waited_for():
    with subprocess.Popen(SLEEP) as process:
        parent = ParentProcess(process.pid)
        assert parent.is_running()
        process.kill()  # and, where such things are, a zombie until it is asked for
        wait_until(lambda: not parent.is_running())
    assert not ParentProcess(process.pid).is_running()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has priority classes")
@pytest.mark.parametrize(("before", "after"), [(0, 10), (15, 15)])
def test_a_priority_is_lowered_and_never_raised(before, after):
    with subprocess.Popen(SLEEP) as process:
        child = psutil.Process(process.pid)
        child.nice(max(before, child.nice()))
        lower_priority(process.pid)
        lowered = child.nice()
        process.kill()
    assert lowered == max(after, psutil.Process().nice())


@pytest.mark.parametrize("command", ["inverter", "closed-loop"])
def test_a_worker_process_ends_if_its_daemon_has_already_ended(tmp_path, command):
    settings = make_settings(tmp_path, encoder=EncoderSettings(checkpoint="demo"))
    ended = subprocess.run(
        [sys.executable, "-m", "rtrecon", command, "--daemon-pid", str(gone())],
        input=config.dump(settings).encode(),
        capture_output=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
