"""A recorded session, sent again: the part of `rtrecon replay` that is about those."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from rtrecon.cli.terminal import progress_bars, say


def is_session(path: Path) -> bool:
    """Tell whether this is the folder of a session that we recorded."""
    from rtrecon.record.tables import ABOUT

    return (path / ABOUT).is_file()


def send_session(
    folder: Path, to: str, speed: float, frames: Path | None, keys: Path | None
) -> None:
    """Send a session to the daemon, its frames from another file where one is given."""
    from rtrecon import sources
    from rtrecon.session_replay import replay_session
    from rtrecon.transport.keys import client_keys

    with ExitStack() as opened, progress_bars("frames") as progress:
        task = progress.add_task("replay", total=None)

        def told(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        report = replay_session(
            folder,
            to,
            speed=speed or None,
            images=opened.enter_context(sources.open(frames)) if frames else None,
            keys=client_keys(keys) if keys else None,
            on_progress=told,
        )
    say(f"{report.frames_sent} frames sent, {report.wall_s:.1f} s")
