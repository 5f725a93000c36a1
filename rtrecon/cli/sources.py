"""Commands that bring frames from elsewhere: growing files, sockets, cameras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtrecon.cli import terminal
from rtrecon.cli.terminal import progress_bars, say
from rtrecon.core.errors import UserError

if TYPE_CHECKING:
    from rtrecon.replay.client import ReplayReport
    from rtrecon.sources.recording import Hints, Recording

To = Annotated[str, typer.Option(help="Where the daemon takes frames.")]
KeyFolder = Annotated[
    Path | None, typer.Option(help="Key folder, where the daemon wants keys.")
]
Rate = Annotated[
    float | None, typer.Option(help="Frames in a second, where nothing else tells.")
]
Silence = Annotated[float, typer.Option(help="Seconds without a frame that end it.")]
FRAMES = "tcp://127.0.0.1:5560"


def capture(
    address: Annotated[str, typer.Argument(help="Where somebody publishes.")],
    out: Annotated[Path, typer.Option(help="File to write (.rtrcap).")],
    messages: Annotated[int, typer.Option(help="How many of them.")] = 100,
    silence: Silence = 30.0,
) -> None:
    """Write what a ZeroMQ publisher sends to a file, as it is, to look at it later."""
    from itertools import islice

    from rtrecon.sources.message_capture import write_capture
    from rtrecon.sources.scanimage_stream import subscribed

    with progress_bars("messages") as progress:
        task = progress.add_task("capture", total=messages)
        coming = islice(subscribed(address, silence), messages)
        n_written = write_capture(
            out, coming, lambda done: progress.update(task, completed=done)
        )
    if not n_written:
        raise UserError(
            f"{address} published nothing for {silence:g} s; is it acquiring?"
        )
    say(f"{n_written} messages of {address} written to {out}")


def scanimage(
    address: Annotated[str, typer.Argument(help="Where ScanImage publishes.")],
    to: To = FRAMES,
    channel: Annotated[
        int | None, typer.Option(help="Channel number; all that come if not given.")
    ] = None,
    rate_hz: Rate = None,
    silence: Silence = 30.0,
    keys: KeyFolder = None,
) -> None:
    """Pass on what ScanImage Premium 2025 publishes (untested: see `capture`)."""
    from rtrecon.sources.recording import Hints
    from rtrecon.sources.scanimage_stream import PARSERS, Published, subscribed

    coming = subscribed(address, silence)
    hints = Hints(channel, rate_hz)
    name = f"ScanImage at {address}"
    tell_report(forwarded(Published(name, coming, PARSERS["guess"], hints), to, keys))


def micromanager(
    config: Annotated[
        Path, typer.Argument(help="Micro-Manager's configuration (.cfg).")
    ],
    to: To = FRAMES,
    rate_hz: Rate = None,
    exposure_ms: Annotated[
        float | None, typer.Option(help="Of the camera; as it is if not given.")
    ] = None,
    keys: KeyFolder = None,
) -> None:
    """Stream a Micro-Manager camera to the daemon, until Ctrl-C."""
    from rtrecon.interfaces.micromanager import MicroManager, load_core
    from rtrecon.sources.recording import Hints

    core = load_core(config)
    if exposure_ms is not None:
        core.setExposure(exposure_ms)
    tell_report(forwarded(MicroManager(core, Hints(rate_hz=rate_hz)), to, keys))


def follow(
    file: Path, hints: Hints, silence_s: float, to: tuple[str, Path | None]
) -> None:
    """Send a TIFF to the daemon (address, key folder) while it is being written."""
    from rtrecon.sources.growing_tiff import FollowedTiff

    address, keys = to
    source = FollowedTiff(file, hints, silence_s)
    tell_report(forwarded(source, address, keys, may_wait=True))


def forwarded(
    source: Recording, to: str, keys: Path | None, may_wait: bool = False
) -> ReplayReport:
    """Send what comes to the daemon until it ends, with a bar that counts."""
    from rtrecon.replay.recording import forward
    from rtrecon.transport.keys import client_keys

    with progress_bars("frames") as progress:
        task = progress.add_task(source.name, total=None)

        def told(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        return forward(
            source,
            to,
            keys=client_keys(keys) if keys else None,
            may_wait=may_wait,
            on_progress=told,
        )


def tell_report(report: ReplayReport) -> None:
    """Say what became of the frames."""
    if report.notice:
        terminal.err.print(report.notice)
    say(
        f"{report.frames_sent} frames sent, {report.frames_dropped} dropped, "
        f"{report.wall_s:.1f} s"
    )


def size(text: str | None) -> tuple[int, int] | None:
    """Read a size such as '512x796' (lines x pixels); raises UserError."""
    if text is None:
        return None
    lines, _, pixels = text.lower().partition("x")
    if not (lines.isdecimal() and pixels.isdecimal()):
        raise UserError(f"{text!r} is no size; write lines x pixels, such as 512x796")
    return int(lines), int(pixels)
