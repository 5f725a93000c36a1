"""Commands of a session: the daemon, what feeds it and what looks at it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.cli import terminal
from rtrecon.cli.terminal import progress_bars, say

ConfigPath = Annotated[Path, typer.Argument(help="Settings file (TOML).")]


def run(settings: ConfigPath) -> None:
    """Run the daemon: frames in, activity, movie and quality out."""
    given = config.load(settings)  # a mistake is told before anything heavy is loaded
    from rtrecon import daemon

    daemon.run(given, say)


def display(
    publish: Annotated[
        str, typer.Option(help="Where the daemon publishes.")
    ] = "tcp://127.0.0.1:5562",
    control: Annotated[
        str, typer.Option(help="Where the daemon takes requests.")
    ] = "tcp://127.0.0.1:5563",
    snapshot: Annotated[
        Path | None, typer.Option(help="PNG of the window, kept up to date.")
    ] = None,
    headless: Annotated[bool, typer.Option(help="Draw without a screen.")] = False,
    close_with_daemon: Annotated[
        bool, typer.Option(help="Close when the daemon stops.")
    ] = False,
) -> None:
    """Show the live movie; attaches to a running daemon at any time."""
    from rtrecon import display as station

    options = station.DisplayOptions(
        publish=publish,
        control=control,
        snapshot=snapshot,
        headless=headless,
        close_with_daemon=close_with_daemon,
    )
    raise typer.Exit(station.run(options))


def replay(
    file: Annotated[Path, typer.Argument(help="A ScanImage TIFF recording.")],
    to: Annotated[
        str, typer.Option(help="Where the daemon takes frames.")
    ] = "tcp://127.0.0.1:5560",
    speed: Annotated[
        float, typer.Option(help="1 = as recorded; 0 = as fast as it is taken.")
    ] = 1.0,
    loops: Annotated[int, typer.Option(help="How often; 0 = for ever.")] = 1,
    channel: Annotated[
        int | None,
        typer.Option(help="Channel number; all that were saved if not given."),
    ] = None,
) -> None:
    """Stream a recording to the daemon as if the microscope were running."""
    from rtrecon.replay import replay as send

    with progress_bars("frames") as progress:
        task = progress.add_task("replay", total=None)

        def told(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        report = send(
            file,
            to,
            speed=speed or None,
            loops=loops or None,
            channel=channel,
            on_progress=told,
        )
    if report.notice:
        terminal.err.print(report.notice)
    say(
        f"{report.frames_sent} frames sent, {report.frames_dropped} dropped, "
        f"{report.wall_s:.1f} s"
    )


def demo(
    seconds: Annotated[float, typer.Option(help="Length of the session.")] = 120.0,
    headless: Annotated[bool, typer.Option(help="Draw without a screen.")] = False,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("demo-out"),
    video: Annotated[
        Path | None, typer.Option(help="A video file to show instead.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which session (movie, noise).")] = 1,
) -> None:
    """Simulate a session and reconstruct it live, end to end."""
    from rtrecon import demo as show
    from rtrecon.record.summary import summary_table

    plan = show.Plan(
        seconds=seconds, headless=headless, out=out, video=video, seed=seed
    )
    with progress_bars("frames") as progress:
        task = progress.add_task("session", total=None)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        summary = show.run(plan, say, told)
    terminal.out.print(summary_table(summary))
    say(f"results are in {out}")


def check(settings: ConfigPath) -> None:
    """Validate settings, files and ports; say what this machine sustains."""
    given = config.load(settings)
    from rtrecon import check as checking

    for line in checking.check(given):
        say(line)


def field(
    session: Annotated[Path, typer.Argument(help="Folder of a recorded session.")],
) -> None:
    """Compare a session's field with the one stored with its encoder: a picture."""
    from rtrecon.fields import field_reports

    for line in field_reports(session):
        say(line)


def invert() -> None:
    """Run the inverter on settings from standard input (started by the daemon)."""
    from rtrecon import inverter

    inverter.run(config.parse(sys.stdin.read()))
