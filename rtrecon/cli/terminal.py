"""Output on the terminal: sentences with the time, and bars for long work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from rtrecon.core.progress import format_duration

# Progress of long work may come once in some minutes; the default period is 30 s.
_SPEED_PERIOD_S = 3600.0

stdout = Console()
stderr = Console(stderr=True, highlight=False)


class ProgressReporter:
    """Stages of a long work: bars on a terminal, a line per tenth in a log file.

    Both show the time left in the stage, as soon as it can be estimated.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._starts: dict[str, tuple[float, float]] = {}  # time in s, fraction
        self._printed: set[tuple[str, int]] = set()

    def __call__(self, stage: str, fraction: float, detail: str) -> None:
        """Show that `fraction` 0..1 of the stage is done."""
        text, tenth = f"{stage}: {detail}", (stage, int(10 * fraction))
        self._starts.setdefault(stage, (time.monotonic(), fraction))
        if not stderr.is_terminal and tenth not in self._printed:
            self._printed.add(tenth)
            notify(text + self._format_time_left(stage, fraction))
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=100)
        bar = self._bars[stage]
        self._progress.update(bar, completed=100 * fraction, description=text)

    def _format_time_left(self, stage: str, fraction: float) -> str:
        start_s, start_fraction = self._starts[stage]
        if not start_fraction < fraction < 1:
            return ""
        elapsed_s = time.monotonic() - start_s
        left_s = elapsed_s * (1 - fraction) / (fraction - start_fraction)
        return f"; about {format_duration(left_s)} left"


@contextmanager
def progress_bars(unit: str) -> Iterator[Progress]:
    """Show bars that count in this unit, as long as the context lasts."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=stderr, speed_estimate_period=_SPEED_PERIOD_S
    ) as progress:
        yield progress


def notify(sentence: str) -> None:
    """Print a sentence with the time of day; lost where it goes to a full disk.

    Parts of it may come from outside: what could steer a terminal is not printed.
    """
    now = datetime.now().strftime("%H:%M:%S")
    harmless = "".join(c if c.isprintable() or c == "\n" else "?" for c in sentence)
    with suppress(OSError):
        stdout.print(f"[dim]{now}[/dim] ", end="")
        stdout.print(harmless, markup=False, highlight=False, soft_wrap=True)
