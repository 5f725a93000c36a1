"""The command that makes keys for the daemon and its clients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon.cli.terminal import notify


def keys(
    folder: Annotated[Path, typer.Argument(help="Key folder of the daemon.")],
    computer: Annotated[
        list[str] | None,
        typer.Argument(help="Other computers; each gets a separate key folder."),
    ] = None,
) -> None:
    """Make the keys that encrypt all messages and identify allowed computers."""
    from rtrecon.transport.keys import make_keys

    for notice in make_keys(folder, tuple(computer or ())):
        notify(notice)
