"""The command line. Each command reads its arguments and calls one function."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from rtrecon.cli import (
    analysis,
    keys,
    live,
    session,
    sources,
    streams,
    terminal,
    workers,
)
from rtrecon.core.errors import UserError

app = typer.Typer(
    help="The movie a mouse is watching, reconstructed while it watches.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "A session": (
        live.run,
        live.display,
        live.replay,
        live.demo,
        live.check,
        live.field,
        keys.keys,
        sources.scanimage,
        sources.micromanager,
        sources.capture,
        streams.openephys,
        streams.lsl,
    ),
    "At the desk": (
        analysis.evaluate,
        analysis.reconstruct,
        analysis.rois,
        analysis.train,
        analysis.mask,
        analysis.convert,
        analysis.adapt,
    ),
    "Record and share": (
        session.report,
        session.export,
        session.wipe,
    ),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.command(hidden=True)(workers.invert)
app.command(hidden=True)(workers.reactor)


def main() -> None:
    """Run the command line; a user's mistake is a sentence and exit status 2."""
    try:
        app()
    except UserError as error:
        terminal.err.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
