"""Commands that run beside the daemon: bridges to Open Ephys and to LSL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.cli.options import KeyFolder, SettingsFile
from rtrecon.cli.sources import FRAME_ADDRESS, FrameAddress
from rtrecon.cli.terminal import notify


def openephys(
    address: Annotated[
        str, typer.Argument(help="Data address of Open Ephys' ZMQ Interface.")
    ] = "tcp://127.0.0.1:5556",
    to: FrameAddress = FRAME_ADDRESS,
    rate_hz: Annotated[float, typer.Option(help="Time bins per second.")] = 30.0,
    stream: Annotated[
        str | None, typer.Option(help="Name of the stream; default: the first one.")
    ] = None,
    units: Annotated[
        Path | None,
        typer.Option(help="File with one unit per line; written if it is missing."),
    ] = None,
    discovery_s: Annotated[
        float,
        typer.Option(
            help="Seconds in which units are discovered, if --units is no file yet."
        ),
    ] = 10.0,
    keys: KeyFolder = None,
) -> None:
    """Send spike counts of Open Ephys to the daemon, in place of images."""
    from rtrecon.interfaces.open_ephys.bridge import OpenEphysRequest, run_bridge
    from rtrecon.transport.keys import read_client_keys

    request = OpenEphysRequest(
        address=address,
        daemon_address=to,
        rate_hz=rate_hz,
        stream=stream,
        units_file=units,
        discovery_s=discovery_s,
        keys=read_client_keys(keys) if keys else None,
    )
    run_bridge(request, notify)


def lsl(settings: SettingsFile) -> None:
    """Read behaviour and markers from LSL; write activity, quality and events."""
    loaded = config.load(settings)
    from rtrecon.interfaces.lsl.bridge import run_bridge

    run_bridge(loaded, notify)
