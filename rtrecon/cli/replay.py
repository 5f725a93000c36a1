"""`rtrecon replay`: streams files, recorded sessions and Sensorium folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtrecon.cli import sources, terminal
from rtrecon.cli.options import DaemonAddress, KeyFolder
from rtrecon.cli.terminal import notify, progress_bars
from rtrecon.sources.registry import describe_formats

if TYPE_CHECKING:
    from rtrecon.replay.client import FrameCountCallback, ReplayReport
    from rtrecon.replay.sensorium import TrialSelection


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            help=f"The recording: {describe_formats()}; or the folder of a recorded "
            "session, or of a mouse of Sensorium 2023."
        ),
    ],
    to: sources.FrameAddress = sources.FRAME_ADDRESS,
    speed: Annotated[
        float,
        typer.Option(help="1: as recorded; 0: as fast as the daemon receives."),
    ] = 1.0,
    loops: Annotated[
        int, typer.Option(help="Number of repetitions; 0: without end.")
    ] = 1,
    channel: Annotated[
        int | None, typer.Option(help="Channel number. Default: all saved channels.")
    ] = None,
    rate_hz: sources.RateHz = None,
    interval_s: sources.IntervalS = None,
    scale_um: sources.ScaleUm = None,
    position: Annotated[
        int | None,
        typer.Option(help="Stage position to read, as the names of the files count."),
    ] = None,
    shape: sources.ImageSize = None,
    field: sources.FieldName = None,
    n_channels: sources.NChannels = None,
    n_planes: sources.NPlanes = None,
    axes: sources.DatasetAxes = "",
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Follow a TIFF or a folder that is still being written."
        ),
    ] = False,
    timeout: sources.Timeout = 10.0,
    keys: KeyFolder = None,
    control: Annotated[
        str | None,
        typer.Option(
            help="Address at which the daemon receives requests; needed if its ports "
            "are not the default ones."
        ),
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(help="Recording of the images, if the session has none."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            help="Tier of Sensorium trials. Default: trials that are not for training."
        ),
    ] = None,
    trial: Annotated[
        list[int] | None,
        typer.Option(help="Number of a Sensorium trial; repeat it for several."),
    ] = None,
) -> None:
    """Stream a recording to the daemon as if the microscope were running."""
    from rtrecon.replay.client import guess_control_address

    daemon = DaemonAddress(to, control or guess_control_address(to), keys)
    if is_session_folder(file):
        return replay_session_folder(file, daemon, speed, frames)
    if is_sensorium_folder(file):
        from rtrecon.replay.sensorium import TrialSelection

        selection = TrialSelection(tier, tuple(trial or ()))
        return replay_sensorium_folder(file, daemon, selection, (speed, loops))
    from rtrecon.replay.recording import replay_recording
    from rtrecon.sources.recording import RecordingHints

    hints = RecordingHints(
        channel,
        sources.choose_rate(rate_hz, interval_s),
        sources.parse_size(shape),
        field,
        axes=axes,
        n_channels=n_channels,
        n_planes=n_planes,
        um_per_px=scale_um,
        position=position,
    )
    if follow:
        return sources.follow_tiff(file, hints, timeout, daemon)
    with show_frame_count() as on_progress:
        report = replay_recording(
            file,
            to,
            speed=speed or None,
            loops=loops or None,
            hints=hints,
            keys=daemon.read_keys(),
            control=daemon.control,
            notify=notify,
            on_progress=on_progress,
        )
    sources.print_report(report)


def is_session_folder(path: Path) -> bool:
    """Return whether this is the folder of a recorded session."""
    from rtrecon.session.tables import ABOUT_FILE

    return (path / ABOUT_FILE).is_file()


def is_sensorium_folder(path: Path) -> bool:
    """Return whether this is the folder of a mouse of Sensorium 2023."""
    from rtrecon.datasets.sensorium.layout import TIERS_FILE

    return (path / TIERS_FILE).parent.is_dir()


def replay_session_folder(
    folder: Path, daemon: DaemonAddress, speed: float, frames: Path | None
) -> None:
    """Send a session to the daemon. frames: a file with its images, if it has none."""
    from rtrecon.replay.session import replay_session
    from rtrecon.sources import open_recording

    with ExitStack() as stack, show_frame_count() as on_progress:
        images = stack.enter_context(open_recording(frames)) if frames else None
        report = replay_session(
            folder,
            daemon.frames,
            speed=speed or None,
            images=images,
            keys=daemon.read_keys(),
            control=daemon.control,
            notify=notify,
            on_progress=on_progress,
        )
    _print_report(report)


def replay_sensorium_folder(
    folder: Path,
    daemon: DaemonAddress,
    selection: TrialSelection,
    pace: tuple[float, int],
) -> None:
    """Send trials of a folder to the daemon. pace: speed and number of loops."""
    from rtrecon.replay.sensorium import replay_sensorium

    speed, loops = pace
    with show_frame_count() as on_progress:
        report = replay_sensorium(
            folder,
            daemon.frames,
            selection=selection,
            speed=speed or None,
            loops=loops or None,
            keys=daemon.read_keys(),
            control=daemon.control,
            notify=notify,
            on_progress=on_progress,
        )
    _print_report(report)


@contextmanager
def show_frame_count() -> Iterator[FrameCountCallback]:
    """Show on the terminal how many frames are done."""
    with progress_bars("frames") as progress:
        task = progress.add_task("replay", total=None)

        def show_count(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield show_count


def _print_report(report: ReplayReport) -> None:
    if report.notice:
        terminal.stderr.print(report.notice, markup=False, soft_wrap=True)
    notify(f"{report.frames_sent} frames sent, {report.wall_s:.1f} s")
