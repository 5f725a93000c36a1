"""What was recorded, sent again: the part of `rtrecon replay` that is about folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rtrecon.cli.terminal import progress_bars, say

if TYPE_CHECKING:
    from rtrecon.replay.sensorium import Choice


def is_session(path: Path) -> bool:
    """Tell whether this is the folder of a session that we recorded."""
    from rtrecon.session.tables import ABOUT

    return (path / ABOUT).is_file()


def is_sensorium(path: Path) -> bool:
    """Tell whether this is the folder of a mouse of Sensorium 2023."""
    from rtrecon.datasets.sensorium.layout import TIERS_FILE

    return (path / TIERS_FILE).parent.is_dir()


def send_session(
    folder: Path, to: str, speed: float, frames: Path | None, keys: Path | None
) -> None:
    """Send a session to the daemon, its frames from another file where one is given."""
    from rtrecon import sources
    from rtrecon.replay.session import replay_session
    from rtrecon.transport.keys import client_keys

    with ExitStack() as opened, counted() as told:
        report = replay_session(
            folder,
            to,
            speed=speed or None,
            images=opened.enter_context(sources.open(frames)) if frames else None,
            keys=client_keys(keys) if keys else None,
            on_progress=told,
        )
    say(f"{report.frames_sent} frames sent, {report.wall_s:.1f} s")


def send_sensorium(
    folder: Path, to: str, choice: Choice, often: tuple[float, int], keys: Path | None
) -> None:
    """Send trials of a folder to the daemon; often: at which speed, how many times."""
    from rtrecon.replay.sensorium import replay_folder
    from rtrecon.transport.keys import client_keys

    speed, loops = often
    with counted() as told:
        report = replay_folder(
            folder,
            to,
            choice=choice,
            speed=speed or None,
            loops=loops or None,
            keys=client_keys(keys) if keys else None,
            on_progress=told,
        )
    say(f"{report.frames_sent} frames sent, {report.wall_s:.1f} s")


@contextmanager
def counted() -> Iterator[Callable[[int, int | None], None]]:
    """Show how many frames are done."""
    with progress_bars("frames") as progress:
        task = progress.add_task("replay", total=None)

        def told(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield told
