"""The watch over a child process: real children, really killed; the clock is ours."""

from __future__ import annotations

import psutil
import pytest

from rtrecon.config import EncoderSettings
from rtrecon.daemon.supervisor import Child
from rtrecon.testing.daemon_process import rtrecon, settings_in
from rtrecon.testing.waiting import until

OLD_S = 100.0  # after its first word: long enough to count as having worked


@pytest.fixture
def child(tmp_path):
    settings = settings_in(tmp_path, encoder=EncoderSettings(checkpoint="demo"))
    child = Child(settings)
    child.start()
    yield child
    if child.pid is not None:
        psutil.Process(child.pid).kill()
    child.stop()


def killed(child: Child, now_s: float):
    """Kill the child and return what the watch says about it at that time."""
    psutil.Process(child.pid).kill()
    return until(lambda: child.check(now_s))


def test_a_child_runs_below_the_loop_that_may_not_wait(child):
    own, its = psutil.Process().nice(), psutil.Process(child.pid).nice()
    assert its != own
    assert child.check(1.0) is None
    assert child.restarts == 0


def test_a_dead_child_is_told_once_and_comes_again_a_little_later(child):
    first = child.pid
    child.spoke(0.0)
    loss = killed(child, OLD_S)
    assert not loss.final
    assert "starting it again" in loss.sentence
    assert child.pid is None
    assert child.check(OLD_S + 0.1) is None
    assert child.pid is None  # one that dies at once must not take the machine with it
    assert child.check(OLD_S + 1.0) is None
    assert child.pid not in (None, first)
    assert child.restarts == 1


@pytest.mark.parametrize(
    ("slow_s", "speaks"), [(0.0, True), (0.0, False), (OLD_S, False)]
)
def test_one_that_keeps_dying_young_is_given_up_on(child, slow_s, speaks):
    """Young is who just said its first word, or has not said one, however long ago."""
    now_s = 0.0
    for _ in range(2):
        if speaks:
            child.spoke(now_s)
        now_s += slow_s
        assert not killed(child, now_s).final
        now_s += 1.0
        child.check(now_s)
    loss = killed(child, now_s)
    assert loss.final
    assert "ended 3 times" in loss.sentence
    assert "no movie until the daemon is restarted" in loss.sentence
    assert child.check(now_s + OLD_S) is None
    assert (child.pid, child.restarts) == (None, 2)


def test_one_that_dies_now_and_then_is_never_given_up_on(child):
    now_s = 0.0
    for restarts in range(4):
        child.spoke(now_s)
        now_s += OLD_S
        assert not killed(child, now_s).final
        child.check(now_s + 1.0)
        assert child.restarts == restarts + 1


def test_one_that_does_not_end_by_itself_is_ended(child):
    process = psutil.Process(child.pid)
    child.stop(timeout_s=0.1)
    assert not process.is_running()
    assert child.pid is None
    assert child.check(OLD_S) is None  # and stays ended
    child.stop()  # twice is no mistake


def test_an_inverter_without_settings_says_what_it_wants():
    answer = rtrecon("invert")
    assert answer.returncode == 2
    assert "settings" in answer.stderr
    assert "Traceback" not in answer.stderr
