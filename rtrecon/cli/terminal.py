"""What is said on the terminal: sentences with the time, and bars for long work."""

from __future__ import annotations

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

stdout = Console()
stderr = Console(stderr=True, highlight=False)


class ProgressReporter:
    """Stages of a long work: bars on a terminal, a line per tenth in a log file."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._printed: set[tuple[str, int]] = set()

    def __call__(self, stage: str, fraction: float, detail: str) -> None:
        """Show that `share` 0..1 of the stage is done."""
        text, tenth = f"{stage}: {detail}", (stage, int(10 * fraction))
        if not stderr.is_terminal and tenth not in self._printed:
            self._printed.add(tenth)
            notify(text)
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=100)
        bar = self._bars[stage]
        self._progress.update(bar, completed=100 * fraction, description=text)


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
    with Progress(*columns, console=stderr) as progress:
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
