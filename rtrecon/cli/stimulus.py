"""The command that shows clips to the mouse and sends what it shows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import typer

from rtrecon import config
from rtrecon.cli.options import KeyFolder
from rtrecon.cli.sources import parse_size
from rtrecon.cli.terminal import notify
from rtrecon.config import ScreenSettings
from rtrecon.core.errors import UserError
from rtrecon.core.progress import format_duration
from rtrecon.core.types import Array
from rtrecon.stimulus_space.viewing import FlatScreen

PatchCorner = Literal["none", "top-left", "top-right", "bottom-left", "bottom-right"]
_MIN_HEIGHT, _MAX_HEIGHT = 36, 2160


def stimulus(
    clips: Annotated[
        list[Path], typer.Argument(help="Films, .npy files, or folders of them.")
    ],
    settings: Annotated[
        Path | None,
        typer.Option(
            help="Settings file of the daemon: its addresses, keys and section "
            "screen. Other options replace them."
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Address at which the daemon receives messages. Default: that of the "
            "settings."
        ),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(
            help="Address at which the daemon publishes events. Default: that of the "
            "settings."
        ),
    ] = None,
    keys: KeyFolder = None,
    order: Annotated[
        Literal["listed", "random"], typer.Option(help="Order of the clips.")
    ] = "listed",
    seed: Annotated[int, typer.Option(help="Seed of the random order.")] = 0,
    repeats: Annotated[
        int, typer.Option(min=0, help="How often all are shown; 0 = until Esc.")
    ] = 1,
    gray_s: Annotated[
        float, typer.Option(help="Seconds of gray between two clips.")
    ] = 1.0,
    screen: Annotated[
        int | None, typer.Option(help="Number of the screen; default: the last one.")
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(help="Window of this size, such as 960x540; not full screen."),
    ] = None,
    patch: Annotated[
        PatchCorner | None,
        typer.Option(
            help="Corner of the photodiode patch. Default: the one that `screen.patch` "
            "of the settings begins with, or bottom-right."
        ),
    ] = None,
    patch_percent: Annotated[
        float, typer.Option(help="Side of the patch, in % of the screen's height.")
    ] = 8.0,
    gamma: Annotated[
        float | None,
        typer.Option(
            help="Exponent of the screen; 1 = not corrected. Default: `screen.gamma` "
            "of the settings, or 1."
        ),
    ] = None,
    gamma_table: Annotated[
        Path | None, typer.Option(help="Text file of 256 values, 0 to 1.")
    ] = None,
    warp: Annotated[
        bool,
        typer.Option(
            "--warp",
            help="The clips are drawn in visual angles: warp them for a flat screen of "
            "`screen.size_cm` at `screen.distance_cm`.",
        ),
    ] = False,
    height: Annotated[
        int,
        typer.Option(
            min=_MIN_HEIGHT, max=_MAX_HEIGHT, help="Lines of a picture in memory."
        ),
    ] = 144,
    log: Annotated[
        Path | None, typer.Option(help="File for the times of all pictures (.csv).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only read the clips; tell the duration.")
    ] = False,
    without_daemon: Annotated[
        bool, typer.Option("--without-daemon", help="Show the clips, send nothing.")
    ] = False,
) -> None:
    """Show clips full screen, and send each picture when the screen shows it."""
    _require_durations(gray_s, patch_percent)
    size = _parse_window(window)
    # Qt and the readers of films are slow to import.
    from rtrecon.presenter.clips import ScreenFormat, find_clips, load_clips
    from rtrecon.presenter.playlist import PlayOrder

    loaded_settings = config.load(settings) if settings else config.Settings()
    table = _choose_gamma_table(gamma, gamma_table, loaded_settings.screen)
    corner = patch or _find_patch_corner(loaded_settings.screen)
    flat_screen = _find_flat_screen(loaded_settings.screen) if warp else None
    files = find_clips(clips)
    loaded = load_clips(
        files,
        ScreenFormat(height, flat_screen),
        lambda clip: notify(f"clip '{clip.name}': {clip.duration_s:.1f} s"),
    )
    names = [file.stem for file in files]
    once_s = gray_s + sum(loaded[name].duration_s + gray_s for name in names)
    notify(_describe_duration(len(names), once_s, gray_s, repeats))
    if dry_run:
        return
    from rtrecon.presenter.run import DaemonLink, PresenterRequest, run_presenter
    from rtrecon.presenter.screen import ScreenLayout
    from rtrecon.transport.keys import read_client_keys

    daemon = None
    if not without_daemon:
        network = loaded_settings.network
        folder = keys or network.keys
        daemon = DaemonLink(
            to or network.frames,
            publish or network.publish,
            read_client_keys(folder) if folder else None,
        )
    request = PresenterRequest(
        names=names,
        order=PlayOrder(order == "random", seed, repeats),
        layout=ScreenLayout(table, screen, size, corner, patch_percent / 100),
        daemon=daemon,
        gray_s=gray_s,
        log=log,
        expected_refresh_hz=loaded_settings.screen.refresh_hz,
    )
    run_presenter(request, loaded, notify)


def _choose_gamma_table(
    gamma: float | None, table: Path | None, screen: ScreenSettings
) -> Array:
    """Return uint8 (256,): by the options, else by the settings, else unchanged."""
    from rtrecon.presenter.gamma import (
        invert_luminances,
        make_gamma_table,
        read_gamma_table,
    )

    if table is not None and gamma is not None:
        raise UserError("--gamma and --gamma-table say the same; give one of them")
    if table is not None:
        return read_gamma_table(table)
    if gamma is not None or screen.gamma is None:
        return make_gamma_table(1.0 if gamma is None else gamma)
    if isinstance(screen.gamma, float):
        notify(f"gamma {screen.gamma:g}, by screen.gamma of the settings")
        return make_gamma_table(screen.gamma)
    notify(f"gamma by {len(screen.gamma)} luminances, screen.gamma of the settings")
    return invert_luminances(np.array(screen.gamma))


def _find_patch_corner(screen: ScreenSettings) -> PatchCorner:
    """Return the corner that the settings' text begins with, else bottom-right."""
    if screen.patch is None:
        return "bottom-right"
    corner: PatchCorner
    for corner in get_args(PatchCorner):
        if screen.patch.lower().startswith(corner):
            notify(f"photodiode patch: {corner}, by screen.patch of the settings")
            return corner
    notify(
        f"screen.patch of the settings, '{screen.patch}', begins with no corner such "
        "as top-left; the photodiode patch is bottom-right, choose another with --patch"
    )
    return "bottom-right"


def _find_flat_screen(screen: ScreenSettings) -> FlatScreen:
    """Return the screen to warp for; raises UserError if its size is not known."""
    if screen.size_cm is None or screen.distance_cm is None:
        raise UserError(
            "--warp needs the size and the distance of the screen; set "
            "screen.size_cm and screen.distance_cm, and give the file with --settings"
        )
    return FlatScreen(*screen.size_cm, screen.distance_cm)


def _describe_duration(n_clips: int, once_s: float, gray_s: float, repeats: int) -> str:
    clips = f"{n_clips} clips with {gray_s:g} s of gray between them"
    if not repeats:
        return (
            f"{clips}: {format_duration(once_s)} for each repeat, until you press Esc"
        )
    total_s = gray_s + repeats * (once_s - gray_s)
    times = "once" if repeats == 1 else f"{repeats} times"
    return f"{clips}, shown {times}: {format_duration(total_s)}"


def _parse_window(text: str | None) -> tuple[int, int] | None:
    """Parse the size of a window, width x height; raises UserError."""
    if text is None:
        return None
    size = parse_size(text)
    if size is None or min(size) < _MIN_HEIGHT:
        raise UserError(
            f"a window of {text} is too small for a picture; write width x height in "
            "pixels, such as 960x540"
        )
    return size


def _require_durations(gray_s: float, patch_percent: float) -> None:
    if not (math.isfinite(gray_s) and 0 <= gray_s <= 3600):
        raise UserError(f"--gray-s {gray_s:g} is impossible; give 0 to 3600 seconds")
    if not 0 < patch_percent <= 50:
        raise UserError(
            f"--patch-percent {patch_percent:g} is impossible; give up to 50, or "
            "--patch none"
        )
