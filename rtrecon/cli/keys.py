"""Commands about who may talk to the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon.cli.terminal import say


def keys(
    folder: Annotated[Path, typer.Argument(help="The daemon's key folder.")],
    computer: Annotated[
        list[str] | None,
        typer.Argument(help="Others that may talk to it: a folder is made for each."),
    ] = None,
) -> None:
    """Make the keys that encrypt what is sent and say who may send and listen."""
    from rtrecon.transport.keys import make_keys

    for line in make_keys(folder, tuple(computer or ())):
        say(line)
