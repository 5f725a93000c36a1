"""Commands that run beside the daemon and speak to other programs for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.cli.terminal import say

Daemon = Annotated[str, typer.Option(help="Where the daemon takes frames.")]
KeyFolder = Annotated[
    Path | None, typer.Option(help="Key folder, where the daemon wants keys.")
]


def openephys(
    address: Annotated[
        str, typer.Argument(help="Data port of its ZMQ Interface.")
    ] = "tcp://127.0.0.1:5556",
    to: Daemon = "tcp://127.0.0.1:5560",
    rate_hz: Annotated[float, typer.Option(help="Bins in a second.")] = 30.0,
    stream: Annotated[
        str | None, typer.Option(help="Its name; the first heard if not given.")
    ] = None,
    units: Annotated[
        Path | None,
        typer.Option(help="File with a unit per line; made if it is not there."),
    ] = None,
    learn_s: Annotated[
        float, typer.Option(help="Units heard in it are taken, without a file.")
    ] = 10.0,
    keys: KeyFolder = None,
) -> None:
    """Send spikes of Open Ephys to the daemon, counted in bins, in place of images."""
    from rtrecon.interfaces.open_ephys import bridge
    from rtrecon.transport.keys import client_keys

    plan = bridge.Plan(
        address=address,
        to=to,
        rate_hz=rate_hz,
        stream=stream,
        units=units,
        learn_s=learn_s,
        keys=client_keys(keys) if keys else None,
    )
    bridge.run(plan, say)


def lsl(
    settings: Annotated[
        Path, typer.Argument(help="The daemon's settings file (TOML).")
    ],
) -> None:
    """Take behaviour and markers from LSL; give out activity, quality and events."""
    given = config.load(settings)
    from rtrecon.interfaces.lsl import bridge

    bridge.run(given, say)
