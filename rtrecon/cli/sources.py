"""Commands that send live frames to the daemon: growing files, sockets, cameras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtrecon.cli import terminal
from rtrecon.cli.options import DaemonAddress, KeyFolder
from rtrecon.cli.terminal import notify, progress_bars
from rtrecon.core.errors import UserError

if TYPE_CHECKING:
    from rtrecon.interfaces.moment_schedule import TimeLapsePlan
    from rtrecon.replay.client import ReplayReport
    from rtrecon.sources.recording import Recording, RecordingHints

FrameAddress = Annotated[
    str, typer.Option(help="Address at which the daemon receives frames.")
]
RateHz = Annotated[
    float | None, typer.Option(help="Frames per second, if the source has no rate.")
]
IntervalS = Annotated[
    float | None,
    typer.Option(help="Time between two frames of a time-lapse, in s."),
]
ScaleUm = Annotated[
    float | None, typer.Option(help="um per pixel, if the source does not tell it.")
]
ImageSize = Annotated[
    str | None,
    typer.Option(help="Lines x pixels, such as 512x512, if the file has no size."),
]
FieldName = Annotated[
    str | None, typer.Option(help="Name of the scan field to read; default: the first.")
]
NChannels = Annotated[
    int | None,
    typer.Option(help="Channels that alternate in a TIFF that does not store it."),
]
NPlanes = Annotated[
    int | None,
    typer.Option(help="Planes of a volume in a TIFF that does not store it."),
]
DatasetAxes = Annotated[
    str,
    typer.Option(help="Axes of an HDF5 dataset: yxt if frames are last; z for planes."),
]
Timeout = Annotated[
    float, typer.Option(help="End after this many seconds without a frame.")
]
FRAME_ADDRESS = "tcp://127.0.0.1:5560"


def capture(
    address: Annotated[str, typer.Argument(help="Address of the ZeroMQ publisher.")],
    out: Annotated[Path, typer.Option(help="File to write (.rtrcap).")],
    messages: Annotated[int, typer.Option(help="Number of messages to write.")] = 100,
    timeout: Timeout = 30.0,
) -> None:
    """Write the messages of a ZeroMQ publisher to a file, byte by byte."""
    from itertools import islice

    from rtrecon.sources.message_capture import write_capture
    from rtrecon.sources.scanimage_stream import receive_messages

    with progress_bars("messages") as progress:
        task = progress.add_task("capture", total=messages)
        received = islice(receive_messages(address, timeout), messages)
        n_written = write_capture(
            out, received, lambda done: progress.update(task, completed=done)
        )
    if not n_written:
        raise UserError(
            f"{address} published nothing for {timeout:g} s; is it acquiring?"
        )
    notify(f"{n_written} messages of {address} written to {out}")


def scanimage(
    address: Annotated[
        str, typer.Argument(help="Address at which ScanImage publishes.")
    ],
    to: FrameAddress = FRAME_ADDRESS,
    channel: Annotated[
        int | None, typer.Option(help="Channel to send, from 1; default: all.")
    ] = None,
    rate_hz: RateHz = None,
    timeout: Timeout = 30.0,
    keys: KeyFolder = None,
) -> None:
    """Forward the frames that ScanImage Premium 2025 publishes (not tested yet)."""
    from rtrecon.sources.recording import RecordingHints
    from rtrecon.sources.scanimage_stream import ScanImageStream, receive_messages

    source = ScanImageStream(
        f"ScanImage at {address}",
        receive_messages(address, timeout),
        RecordingHints(channel, rate_hz),
    )
    print_report(forward_frames(source, DaemonAddress(to, None, keys)))


def micromanager(
    config: Annotated[
        Path, typer.Argument(help="Configuration of Micro-Manager (.cfg).")
    ],
    to: FrameAddress = FRAME_ADDRESS,
    rate_hz: RateHz = None,
    exposure_ms: Annotated[
        float | None, typer.Option(help="Exposure to set; default: unchanged.")
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(help="Time-lapse: snap an image every so many seconds."),
    ] = None,
    positions: Annotated[
        Path | None,
        typer.Option(help="Time-lapse: position list of Micro-Manager (.pos)."),
    ] = None,
    channels: Annotated[
        str, typer.Option(help="Time-lapse: channel presets, such as 'GFP,Cy5'.")
    ] = "",
    channel_group: Annotated[
        str, typer.Option(help="Group of these presets; default: the channel group.")
    ] = "",
    on_request: Annotated[
        str, typer.Option(help="Time-lapse: presets imaged only if a rule asks.")
    ] = "",
    rules: Annotated[
        str | None,
        typer.Option(
            help="Time-lapse: address at which the daemon publishes; what its rules "
            "ask for is carried out."
        ),
    ] = None,
    scale_um: ScaleUm = None,
    keys: KeyFolder = None,
) -> None:
    """Stream a Micro-Manager camera to the daemon, or snap a time-lapse."""
    from rtrecon.interfaces.micromanager import MicroManagerCamera, load_core
    from rtrecon.sources.recording import RecordingHints

    only_snapped = positions, channels, channel_group, on_request, rules
    if every is None and any(only_snapped):
        raise UserError(
            "--positions, --channels, --on-request and --rules need --every: they are "
            "snapped"
        )
    core = load_core(config)
    if exposure_ms is not None:
        core.setExposure(exposure_ms)
    camera: Recording
    if every is None:
        camera = MicroManagerCamera(core, RecordingHints(rate_hz=rate_hz))
    else:
        plan = _make_plan(every, positions, (channels, channel_group, on_request))
        camera = _open_time_lapse(core, plan, rules, DaemonAddress(to, None, keys))
    camera.um_per_px = scale_um or camera.um_per_px
    print_report(forward_frames(camera, DaemonAddress(to, None, keys)))


def _make_plan(
    interval_s: float, positions: Path | None, channels: tuple[str, str, str]
) -> TimeLapsePlan:
    """Return a plan. channels: presets with commas between, group, those on request."""
    from rtrecon.interfaces.moment_schedule import TimeLapsePlan
    from rtrecon.interfaces.stage_positions import read_positions

    names, group, on_request = channels
    return TimeLapsePlan(
        interval_s,
        tuple(read_positions(positions)) if positions else (),
        _split_names(names),
        group,
        on_request=_split_names(on_request),
    )


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _open_time_lapse(
    core: Any, plan: TimeLapsePlan, rules: str | None, daemon: DaemonAddress
) -> Recording:
    """Return a time-lapse. rules: address of their requests, None = no requests."""
    from rtrecon.interfaces.micromanager_time_lapse import MicroManagerTimeLapse
    from rtrecon.interfaces.request_subscriber import RequestSubscriber
    from rtrecon.replay.client import guess_control_address

    requests = None
    if rules is not None:
        control = daemon.control or guess_control_address(daemon.frames)
        requests = RequestSubscriber(rules, daemon.read_keys(), control)
    return MicroManagerTimeLapse(core, plan, requests, notify)


def follow_tiff(
    path: Path, hints: RecordingHints, timeout_s: float, daemon: DaemonAddress
) -> None:
    """Send a TIFF, or the files of a folder, to the daemon while they are written."""
    from rtrecon.sources.growing_folder import open_followed_folder
    from rtrecon.sources.growing_tiff import FollowedTiff

    if path.is_dir():
        source: Recording = open_followed_folder(path, hints, timeout_s)
    else:
        source = FollowedTiff(path, hints, timeout_s)
    if source.notice:
        notify(source.notice)
    print_report(forward_frames(source, daemon, may_wait=True))


def forward_frames(
    source: Recording, daemon: DaemonAddress, may_wait: bool = False
) -> ReplayReport:
    """Send the frames of a live source to the daemon and show how many were sent.

    may_wait: wait until the daemon takes a frame, instead of dropping it.
    """
    from rtrecon.replay.recording import forward_live_source

    with progress_bars("frames") as progress:
        task = progress.add_task(source.name, total=None)

        def show_count(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        return forward_live_source(
            source,
            daemon.frames,
            keys=daemon.read_keys(),
            control=daemon.control,
            notify=notify,
            may_wait=may_wait,
            on_progress=show_count,
        )


def print_report(report: ReplayReport) -> None:
    """Print how many frames were sent and dropped."""
    if report.notice:
        terminal.stderr.print(report.notice, markup=False, soft_wrap=True)
    notify(
        f"{report.frames_sent} frames sent, {report.frames_dropped} dropped, "
        f"{report.wall_s:.1f} s"
    )


def choose_rate(rate_hz: float | None, interval_s: float | None) -> float | None:
    """Return the rate that one of both options gives; raises UserError for both."""
    if interval_s is None:
        return rate_hz
    if rate_hz is not None:
        raise UserError("--rate-hz and --interval-s say the same; give one of them")
    if not interval_s > 0:
        raise UserError(f"an interval of {interval_s:g} s is impossible")
    return 1 / interval_s


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Parse a size such as '512x796' (lines x pixels); raises UserError."""
    if text is None:
        return None
    lines, _, pixels = text.lower().partition("x")
    if not (lines.isdecimal() and pixels.isdecimal()):
        raise UserError(
            f"{text!r} is not an image size; write lines x pixels, such as 512x796"
        )
    return int(lines), int(pixels)
