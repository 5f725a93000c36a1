"""Outputs that work, fail and hang; the closed loop never waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from rtrecon.closed_loop.output_worker import OutputWorker
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.testing.waiting import wait_until


def event(rule: str = "lost") -> messages.Event:
    now_s = time.time()
    return messages.Event(
        session="s", seq=0, t=now_s, name="rule_fired", rule=rule, t_frame=now_s
    )


class Lamp:
    """An output that records its calls, and runs the action of a test."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.action: Callable[[], None] = lambda: None
        self.is_open = False

    def open(self) -> None:
        if not self.is_open:
            self.calls.append("open")
            self.is_open = True

    def trigger(self, event: messages.Event) -> None:
        self.action()
        self.calls.append(event.rule)

    def close(self) -> None:
        self.calls.append("close")
        self.is_open = False


@pytest.fixture
def lamp():
    return Lamp()


@pytest.fixture
def worker(lamp):
    worker = OutputWorker("lamp", lamp)
    yield worker
    worker.close()


def wait_for_error(worker: OutputWorker) -> str:
    errors: list[str] = []
    wait_until(lambda: errors.extend(worker.take_errors()) or errors)
    [sentence] = errors
    return sentence


def test_an_output_is_opened_at_once_and_triggered_in_order(worker, lamp):
    wait_until(lambda: lamp.calls == ["open"])
    worker.trigger(event("a"))
    worker.trigger(event("b"))
    wait_until(lambda: lamp.calls == ["open", "a", "b"])
    wait_until(lambda: worker.latency.percentiles().n == 2)
    worker.close()
    assert lamp.calls[-1] == "close"
    assert worker.take_errors() == []


def test_an_output_that_breaks_is_reported_and_opened_again(worker, lamp):
    def broken() -> None:
        raise OSError("unplugged")

    lamp.action = broken
    worker.trigger(event("a"))
    assert wait_for_error(worker) == "output 'lamp': OSError: unplugged"
    lamp.action = lambda: None
    worker.trigger(event("b"))
    wait_until(lambda: lamp.calls == ["open", "close", "open", "b"])


def test_an_output_with_a_user_error_stays_open(worker, lamp):
    def wrong() -> None:
        raise UserError("not today")

    lamp.action = wrong
    worker.trigger(event("a"))
    assert wait_for_error(worker) == "output 'lamp': not today"
    lamp.action = lambda: None
    worker.trigger(event("b"))
    wait_until(lambda: lamp.calls == ["open", "b"])


def test_an_output_that_hangs_loses_events_and_blocks_nothing(worker, lamp):
    resume = threading.Event()
    lamp.action = resume.wait
    for _ in range(20):
        worker.trigger(event())
    assert worker.n_lost >= 20 - 9  # one in progress and eight queued
    assert "still busy; 1 events were dropped" in worker.take_errors()[0]
    resume.set()
    wait_until(lambda: len(lamp.calls) == 1 + 20 - worker.n_lost)
