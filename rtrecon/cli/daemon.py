"""Commands of the daemon: run it, check a settings file, compare fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.cli.options import SessionFolder, SettingsFile
from rtrecon.cli.terminal import notify
from rtrecon.core.errors import UserError


def run(
    settings: SettingsFile,
    deterministic: Annotated[
        bool,
        typer.Option(help="Frames wait for the inverter: a replay repeats the movie."),
    ] = False,
) -> None:
    """Run the daemon: receive frames; publish and record activity and movie."""
    loaded = config.load(settings)  # a mistake is reported before slow imports
    if deterministic:
        inversion = loaded.inversion.model_copy(update={"deterministic": True})
        loaded = loaded.model_copy(update={"inversion": inversion})
    from rtrecon.daemon import daemon

    daemon.run(loaded, notify)


def print_settings_template() -> None:
    """Print a settings file with all keys, their meanings and their defaults."""
    from rtrecon.config.template import settings_template

    typer.echo(settings_template(), nl=False)


def check(
    settings: Annotated[
        Path | None, typer.Argument(help="Settings file (TOML).")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Argument(help="Duration of --listen in seconds. Default: until Ctrl-C."),
    ] = None,
    listen: Annotated[
        bool, typer.Option("--listen", help="Report what senders send.")
    ] = False,
    session: Annotated[
        Path | None,
        typer.Option(
            help="Recorded session: report whether its neurons follow its stimulus."
        ),
    ] = None,
    computer: Annotated[
        bool,
        typer.Option(
            "--computer", help="Measure how many neurons this computer holds."
        ),
    ] = False,
) -> None:
    """Check settings, files and ports; measure the speed of this computer."""
    if session is not None:
        _report_stimulus_lag(session)
        return
    if computer:
        _report_computer()
        return
    if settings is None:
        raise UserError(
            "give a settings file, --session with a recorded session, or --computer"
        )
    loaded = config.load(settings)
    if listen:
        from rtrecon.diagnostics.listen import report_incoming

        notices = report_incoming(loaded.network, seconds)
    else:
        from rtrecon.diagnostics.preflight import run_preflight

        notices = run_preflight(loaded)
    for notice in notices:
        notify(notice)


def _report_stimulus_lag(path: Path) -> None:
    from rtrecon.metrics.stimulus_lag.sentences import describe_stimulus_lag
    from rtrecon.session.session import Session
    from rtrecon.session.stimulus_lag import measure_session_lag

    for notice in describe_stimulus_lag(measure_session_lag(Session(path))):
        notify(notice)


def _report_computer() -> None:
    from rtrecon.diagnostics.computer import (
        describe_computer,
        describe_torch,
        measure_disk_mb_per_s,
    )
    from rtrecon.diagnostics.speed_table import measure_speeds

    notify(describe_computer())
    notify(describe_torch())
    notify(f"disk: {measure_disk_mb_per_s(Path.cwd()):.0f} MB per second written here")
    for speed in measure_speeds():
        notify(speed.describe())


def stack(
    settings: SettingsFile,
    out: Annotated[Path, typer.Option(help="TIFF file to write.")],
    planes: Annotated[int, typer.Option(help="Planes of the stack.")],
    step_um: Annotated[
        float,
        typer.Option(help="um from one plane to the next; negative: upwards."),
    ],
    frames: Annotated[
        int, typer.Option(help="Frames that are averaged of each plane.")
    ] = 30,
    timeout: Annotated[
        float, typer.Option(help="End after this many seconds without a message.")
    ] = 120.0,
) -> None:
    """Take a z-stack from the live frames, to measure drift in z against it."""
    from rtrecon.diagnostics.z_stack import StackPlan, take_stack

    loaded = config.load(settings)
    channel = loaded.registration.channel or loaded.traces.channel
    plan = StackPlan(planes, frames, step_um, channel)
    for notice in take_stack(loaded.network, plan, out, timeout):
        notify(notice)


def field(session: SessionFolder) -> None:
    """Compare a session's field with the one stored with its encoder."""
    from rtrecon.analysis.field_report import write_field_reports

    for notice in write_field_reports(session):
        notify(notice)


def print_version(requested: bool) -> None:
    """Print the version of rtrecon and of the libraries that matter, then exit."""
    if not requested:
        return
    from importlib.metadata import version

    from rtrecon.core.version import __version__

    libraries = ("numpy", "numba", "torch", "pyzmq")
    found = ", ".join(f"{name} {version(name)}" for name in libraries)
    typer.echo(f"rtrecon {__version__} ({found})")
    raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version",
        callback=print_version,
        is_eager=True,
        help="Print the version and exit.",
    ),
]
