"""Progress in a log file: a line per tenth, with the time left in the stage."""

from __future__ import annotations

import pytest

from rtrecon.cli import terminal
from rtrecon.cli.terminal import ProgressReporter, progress_bars


@pytest.fixture
def printed(monkeypatch) -> list[str]:
    """Lines that the reporter prints, of a stage that does 1 % per second."""
    lines: list[str] = []
    monkeypatch.setattr(terminal, "notify", lines.append)
    return lines


@pytest.fixture
def clock(monkeypatch):
    """Set what time it is, in s."""
    seconds = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: seconds[0])
    return lambda value: seconds.__setitem__(0, value)


def report(clock, fractions: list[float]) -> None:
    with progress_bars("%") as progress:
        reporter = ProgressReporter(progress)
        for fraction in fractions:
            clock(100 * fraction)
            reporter("fitting", fraction, f"at {fraction:.0%}")


def test_each_tenth_of_a_stage_is_one_line(printed, clock):
    report(clock, [0.0, 0.05, 0.1, 0.15, 0.5, 1.0])
    details = [line.partition(";")[0] for line in printed]
    assert details == [f"fitting: at {percent}%" for percent in (0, 10, 50, 100)]


def test_lines_after_the_first_give_the_time_left(printed, clock):
    report(clock, [0.0, 0.5, 1.0])
    assert printed == [
        "fitting: at 0%",
        "fitting: at 50%; about 50 s left",
        "fitting: at 100%",
    ]


def test_what_an_interrupted_run_did_does_not_shorten_the_time_left(printed, clock):
    report(clock, [0.4, 0.7])
    assert printed[-1] == "fitting: at 70%; about 30 s left"
