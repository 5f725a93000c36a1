"""Commands of a session: the daemon, what feeds it and what looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.cli import sources, terminal
from rtrecon.cli.replay import (
    counted,
    is_sensorium,
    is_session,
    send_sensorium,
    send_session,
)
from rtrecon.cli.terminal import progress_bars, say

ConfigPath = Annotated[Path, typer.Argument(help="Settings file (TOML).")]
KeyFolder = Annotated[
    Path | None, typer.Option(help="Key folder, where the daemon wants keys.")
]


def run(
    settings: ConfigPath,
    deterministic: Annotated[
        bool, typer.Option(help="So that a replay gives the same movie again.")
    ] = False,
) -> None:
    """Run the daemon: frames in, activity, movie and quality out."""
    given = config.load(settings)  # a mistake is told before anything heavy is loaded
    if deterministic:
        invert = given.invert.model_copy(update={"deterministic": True})
        given = given.model_copy(update={"invert": invert})
    from rtrecon.daemon import daemon

    daemon.run(given, say)


def display(
    publish: Annotated[
        str, typer.Option(help="Where the daemon publishes.")
    ] = "tcp://127.0.0.1:5562",
    control: Annotated[
        str, typer.Option(help="Where the daemon takes requests.")
    ] = "tcp://127.0.0.1:5563",
    keys: KeyFolder = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="PNG of the window, kept up to date.")
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="For pictures and clips that you save.")
    ] = Path("snapshots"),
    headless: Annotated[bool, typer.Option(help="Draw without a screen.")] = False,
    close_with_daemon: Annotated[
        bool, typer.Option(help="Close when the daemon stops.")
    ] = False,
) -> None:
    """Show the live movie; attaches to a running daemon at any time."""
    from rtrecon import display as station
    from rtrecon.transport.keys import client_keys

    options = station.DisplayOptions(
        publish=publish,
        control=control,
        keys=client_keys(keys) if keys else None,
        snapshot=snapshot,
        folder=folder,
        headless=headless,
        remember=not headless,
        close_with_daemon=close_with_daemon,
    )
    raise typer.Exit(station.run(options))


def replay(
    file: Annotated[
        Path,
        typer.Argument(help="A recording, or the folder of a session or a mouse."),
    ],
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
    rate_hz: sources.Rate = None,
    shape: Annotated[
        str | None, typer.Option(help="Lines x pixels, where nothing else tells.")
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="Which scan field; the first if not given.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="A TIFF that is still being written.")
    ] = False,
    silence: sources.Silence = 10.0,
    keys: KeyFolder = None,
    frames: Annotated[
        Path | None,
        typer.Option(help="Images of a session that was recorded without."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(help="Of Sensorium trials; if not given, those not trained on."),
    ] = None,
    trial: Annotated[
        list[int] | None, typer.Option(help="Sensorium trial by number; or several.")
    ] = None,
) -> None:
    """Stream a recording to the daemon as if the microscope were running."""
    if is_session(file):
        return send_session(file, to, speed, frames, keys)
    if is_sensorium(file):
        from rtrecon.replay.sensorium import Choice

        choice = Choice(tier, tuple(trial or ()))
        return send_sensorium(file, to, choice, (speed, loops), keys)
    from rtrecon.replay.recording import replay as send
    from rtrecon.sources.recording import Hints
    from rtrecon.transport.keys import client_keys

    hints = Hints(channel, rate_hz, sources.size(shape), field)
    if follow:
        return sources.follow(file, hints, silence, (to, keys))
    with counted() as told:
        report = send(
            file,
            to,
            speed=speed or None,
            loops=loops or None,
            hints=hints,
            keys=client_keys(keys) if keys else None,
            on_progress=told,
        )
    sources.tell_report(report)


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
    from rtrecon.demo import demo as show
    from rtrecon.session.summary import summary_table

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


def check(
    settings: ConfigPath,
    seconds: Annotated[
        float | None, typer.Argument(help="How long to listen; else until Ctrl-C.")
    ] = None,
    listen: Annotated[
        bool, typer.Option("--listen", help="Say what senders send.")
    ] = False,
) -> None:
    """Validate settings, files and ports; say what this machine sustains."""
    given = config.load(settings)
    if listen:
        from rtrecon.diagnostics.listen import listen as heard

        lines = heard(given.wire, seconds)
    else:
        from rtrecon.diagnostics.preflight import check as checked

        lines = checked(given)
    for line in lines:
        say(line)


def field(
    session: Annotated[Path, typer.Argument(help="Folder of a recorded session.")],
) -> None:
    """Compare a session's field with the one stored with its encoder: a picture."""
    from rtrecon.analysis.field_report import field_reports

    for line in field_reports(session):
        say(line)
