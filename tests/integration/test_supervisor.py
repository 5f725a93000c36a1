"""The supervision of a child process: real processes, but the test gives the time."""

from __future__ import annotations

import io
import sys

import psutil
import pytest

from rtrecon.config import EncoderSettings
from rtrecon.daemon.supervisor import ChildProcess
from rtrecon.testing.daemon_process import make_settings
from rtrecon.testing.waiting import wait_until
from tests.support.command_line import run_here

LATE_S = 100.0  # after its first message: such an exit is not early


@pytest.fixture
def child(tmp_path):
    settings = make_settings(tmp_path, encoder=EncoderSettings(checkpoint="demo"))
    child = ChildProcess(settings)
    child.start()
    yield child
    if child.pid is not None:
        psutil.Process(child.pid).kill()
    child.stop()


def kill_and_poll(child: ChildProcess, now_s: float):
    """Kill the child, and return its exit as polled at that time."""
    psutil.Process(child.pid).kill()
    return wait_until(lambda: child.poll_exit(now_s))


def test_the_inverter_has_a_lower_priority(child):
    lowered = 10 if sys.platform != "win32" else psutil.BELOW_NORMAL_PRIORITY_CLASS
    assert psutil.Process(child.pid).nice() >= lowered
    assert child.poll_exit(1.0) is None
    assert child.restarts == 0


def test_an_exit_is_reported_once_and_the_child_is_restarted(child):
    first = child.pid
    child.mark_ready(0.0)
    child_exit = kill_and_poll(child, LATE_S)
    assert not child_exit.is_final
    assert "it is started again" in child_exit.notice
    assert child.pid is None
    assert child.poll_exit(LATE_S + 0.1) is None
    assert child.pid is None  # a child that exits at once must not load the machine
    assert child.poll_exit(LATE_S + 1.0) is None
    assert child.pid not in (None, first)
    assert child.restarts == 1


@pytest.mark.parametrize(
    ("slow_s", "is_ready"), [(0.0, True), (0.0, False), (LATE_S, False)]
)
def test_a_child_with_repeated_early_exits_is_given_up(child, slow_s, is_ready):
    """An exit is early just after the first message, or before it, however late."""
    now_s = 0.0
    for _ in range(2):
        if is_ready:
            child.mark_ready(now_s)
        now_s += slow_s
        assert not kill_and_poll(child, now_s).is_final
        now_s += 1.0
        child.poll_exit(now_s)
    child_exit = kill_and_poll(child, now_s)
    assert child_exit.is_final
    assert "exited 3 times" in child_exit.notice
    assert "no movie until the daemon is restarted" in child_exit.notice
    assert child.poll_exit(now_s + LATE_S) is None
    assert (child.pid, child.restarts) == (None, 2)


def test_a_child_with_late_exits_is_always_restarted(child):
    now_s = 0.0
    for restarts in range(4):
        child.mark_ready(now_s)
        now_s += LATE_S
        assert not kill_and_poll(child, now_s).is_final
        child.poll_exit(now_s + 1.0)
        assert child.restarts == restarts + 1


def test_a_child_that_does_not_exit_is_killed(child):
    process = psutil.Process(child.pid)
    child.stop(timeout_s=0.1)
    assert not process.is_running()
    assert child.pid is None
    assert child.poll_exit(LATE_S) is None  # it is not restarted
    child.stop()  # a second call does nothing


def test_an_inverter_without_settings_explains_what_is_missing(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    answer = run_here("inverter")
    assert answer.returncode == 2
    assert "settings" in answer.stderr
    assert "Traceback" not in answer.stderr
