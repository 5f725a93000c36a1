"""Outputs that work, fail, hang and come back; the loop beside them never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from rtrecon.closed_loop.output_worker import Worker
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.testing.waiting import until


def event(rule: str = "lost") -> messages.Event:
    now_s = time.time()
    return messages.Event(
        session="s", seq=0, t=now_s, name="react", rule=rule, t_frame=now_s
    )


class Lamp:
    """An output that notes what is done to it, and does what a test says."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.does: Callable[[], None] = lambda: None
        self.is_open = False

    def open(self) -> None:
        if not self.is_open:
            self.told.append("open")
            self.is_open = True

    def fire(self, event: messages.Event) -> None:
        self.does()
        self.told.append(event.rule)

    def close(self) -> None:
        self.told.append("close")
        self.is_open = False


@pytest.fixture
def lamp():
    return Lamp()


@pytest.fixture
def worker(lamp):
    worker = Worker("lamp", lamp)
    yield worker
    worker.close()


def complaint(worker: Worker) -> str:
    told: list[str] = []
    until(lambda: told.extend(worker.complaints()) or told)
    [sentence] = told
    return sentence


def test_it_is_opened_early_and_set_off_in_order(worker, lamp):
    until(lambda: lamp.told == ["open"])
    worker.fire(event("a"))
    worker.fire(event("b"))
    until(lambda: lamp.told == ["open", "a", "b"])
    until(lambda: worker.latency.percentiles().n == 2)
    worker.close()
    assert lamp.told[-1] == "close"
    assert worker.complaints() == []


def test_what_breaks_is_told_and_opened_anew(worker, lamp):
    def broken() -> None:
        raise OSError("unplugged")

    lamp.does = broken
    worker.fire(event("a"))
    assert complaint(worker) == "output 'lamp': OSError: unplugged"
    lamp.does = lambda: None
    worker.fire(event("b"))
    until(lambda: lamp.told == ["open", "close", "open", "b"])


def test_what_only_went_wrong_once_stays_open(worker, lamp):
    def wrong() -> None:
        raise UserError("not today")

    lamp.does = wrong
    worker.fire(event("a"))
    assert complaint(worker) == "output 'lamp': not today"
    lamp.does = lambda: None
    worker.fire(event("b"))
    until(lambda: lamp.told == ["open", "b"])


def test_one_that_hangs_costs_firings_and_nothing_else(worker, lamp):
    let_go = threading.Event()
    lamp.does = let_go.wait
    for _ in range(20):
        worker.fire(event())
    assert worker.lost >= 20 - 9  # all but the one in its hands and eight that wait
    assert "still busy; 1 firings were dropped" in worker.complaints()[0]
    let_go.set()
    until(lambda: len(lamp.told) == 1 + 20 - worker.lost)
