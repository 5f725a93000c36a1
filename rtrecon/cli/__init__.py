"""The command line. Each command reads its arguments and calls one function."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from rtrecon.cli import (
    bridge,
    companions,
    desk,
    live,
    share,
    sources,
    stations,
    terminal,
)
from rtrecon.errors import UserError

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
        bridge.keys,
        sources.scanimage,
        sources.micromanager,
        sources.capture,
        companions.openephys,
        companions.lsl,
    ),
    "At the desk": (
        desk.evaluate,
        desk.reconstruct,
        desk.rois,
        desk.train,
        desk.mask,
        desk.convert,
        desk.adapt,
    ),
    "Record and share": (
        share.report,
        share.export,
        share.wipe,
    ),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.command(hidden=True)(stations.invert)
app.command(hidden=True)(stations.reactor)


def main() -> None:
    """Run the command line; a user's mistake is a sentence and exit status 2."""
    try:
        app()
    except UserError as error:
        terminal.err.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
