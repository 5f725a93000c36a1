"""The command line. Each command reads its arguments and calls one function."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from rtrecon.cli import (
    analysis,
    daemon,
    dish,
    display,
    keys,
    reconstruction,
    replay,
    session,
    sources,
    stimulus,
    streams,
    terminal,
    training,
    workers,
)
from rtrecon.core.errors import UserError
from rtrecon.core.operating_system import allow_all_characters

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "A session": (
        daemon.run,
        display.display,
        replay.replay,
        display.demo,
        stimulus.stimulus,
        daemon.check,
        daemon.stack,
        daemon.field,
        keys.keys,
        sources.scanimage,
        sources.micromanager,
        sources.capture,
        streams.openephys,
        streams.lsl,
    ),
    "At the desk": (
        analysis.evaluate,
        reconstruction.reconstruct,
        analysis.rois,
        dish.dish,
        training.train,
        reconstruction.mask,
        training.convert,
        training.adapt,
    ),
    "Recorded sessions": (
        session.report,
        session.export,
        session.rules,
        session.pack,
        session.wipe,
    ),
}


@app.callback()
def handle_options(version: daemon.VersionOption = False) -> None:
    """Reconstruct the movie that a mouse watches, while it watches it."""


for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.command("config", rich_help_panel="A session")(daemon.print_settings_template)
app.command("inverter", hidden=True)(workers.run_inverter)
app.command("calibrator", hidden=True)(workers.run_calibrator)
app.command("closed-loop", hidden=True)(workers.run_closed_loop)


def main() -> None:
    """Run the command line; a user error prints a sentence and exits with status 2."""
    for stream in (sys.stdout, sys.stderr):
        allow_all_characters(stream)
    try:
        app()
    except UserError as error:
        terminal.stderr.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
