"""Commands that show the live movie: the window, and the demo of the whole rig."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rtrecon import config
from rtrecon.cli import terminal
from rtrecon.cli.options import Headless, KeyFolder, Subject
from rtrecon.cli.terminal import notify, progress_bars
from rtrecon.core.errors import UserError
from rtrecon.stimulus_space.registry import SpaceName

_DEMO_S, _NEW_MOUSE_S = 120.0, 300.0


def display(
    settings: Annotated[
        Path | None,
        typer.Argument(help="Settings file of the daemon: its addresses and keys."),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(
            help="Address at which the daemon publishes. Default: that of the settings."
        ),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            help="Address at which the daemon receives requests. Default: that of the "
            "settings."
        ),
    ] = None,
    keys: KeyFolder = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="PNG file of the window, always up to date.")
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="Folder for the pictures and clips that you save.")
    ] = Path("snapshots"),
    headless: Headless = False,
    close_with_daemon: Annotated[
        bool, typer.Option(help="Close the window when the daemon stops.")
    ] = False,
) -> None:
    """Show the live movie; connects to a running daemon at any time."""
    network = (config.load(settings) if settings else config.Settings()).network
    from rtrecon.display import DisplayOptions, run_display
    from rtrecon.transport.keys import get_client_keys, read_client_keys

    options = DisplayOptions(
        publish=publish or network.publish,
        control=control or network.control,
        keys=read_client_keys(keys) if keys else get_client_keys(network),
        snapshot=snapshot,
        folder=folder,
        headless=headless,
        remember_layout=not headless,
        close_with_daemon=close_with_daemon,
    )
    raise typer.Exit(run_display(options))


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Length of the session in seconds. Default: 120, with --new-mouse 300."
        ),
    ] = None,
    headless: Headless = False,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(
        "demo-out"
    ),
    video: Annotated[
        Path | None, typer.Option(help="Video file to show to the mouse.")
    ] = None,
    sense: Annotated[
        SpaceName, typer.Option(help="Sense of the simulated neurons.")
    ] = "video",
    sound: Annotated[
        Path | None, typer.Option(help="WAV file to play, with --sense sound.")
    ] = None,
    whiskers: Annotated[
        Path | None,
        typer.Option(help="Table of whiskers (.csv), with --sense touch."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of movie, behaviour and noise.")] = 1,
    encoder: Annotated[
        Path, typer.Option(help="Encoder of simulated neurons; demo: the shipped one.")
    ] = Path("demo"),
    subject: Subject = None,
    dish: Annotated[
        bool,
        typer.Option("--dish", help="Neurons in a dish in place of a mouse's cortex."),
    ] = False,
    new_mouse: Annotated[
        bool,
        typer.Option(
            "--new-mouse",
            help="A mouse without an encoder: one is trained in the session.",
        ),
    ] = False,
) -> None:
    """Simulate a session and reconstruct its movie live, in a window."""
    file = _choose_stimulus_file(sense, video=video, sound=sound, touch=whiskers)
    _require_one_demo(sense, {"--dish": dish, "--new-mouse": new_mouse})
    if sense != "video" and subject is not None:
        raise UserError(f"--subject is for movies; leave it out with --sense {sense}")
    if seconds is None:
        seconds = _NEW_MOUSE_S if new_mouse else _DEMO_S
    # The imports take seconds, so each demo imports only its own.
    if dish:
        from rtrecon.demo.dish import DishDemoRequest, run_dish_demo

        culture = DishDemoRequest(seconds, headless, out, seed)
        _show_demo(partial(run_dish_demo, culture), out, ("pictures", "time-lapse"))
    elif new_mouse:
        from rtrecon.demo.new_mouse import NewMouseRequest, run_new_mouse_demo

        mouse = NewMouseRequest(seconds, headless, out, seed)
        _show_demo(partial(run_new_mouse_demo, mouse), out)
    elif sense != "video":
        from rtrecon.demo.sense import SenseDemoRequest, run_sense_demo

        presented = SenseDemoRequest(
            sense, seconds, headless, out, file, seed, str(encoder)
        )
        _show_demo(partial(run_sense_demo, presented), out)
    else:
        from rtrecon.demo.run import DemoRequest, run_demo

        shown = DemoRequest(seconds, headless, out, file, seed, str(encoder), subject)
        _show_demo(partial(run_demo, shown), out)


def _require_one_demo(sense: SpaceName, is_chosen: dict[str, bool]) -> None:
    """Raise UserError if options ask for several demos. is_chosen: by option."""
    chosen = [option for option, is_set in is_chosen.items() if is_set]
    if sense != "video":
        chosen.append("--sense")
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)} are different demos; give one of them")


def _choose_stimulus_file(sense: SpaceName, **files: Path | None) -> Path | None:
    """Return the file of this sense; UserError if one of another sense is given."""
    options = {"video": "--video", "sound": "--sound", "touch": "--whiskers"}
    for name, file in files.items():
        if file is not None and name != sense:
            instead = f"give {options[sense]} or " if sense in options else ""
            raise UserError(
                f"{options[name]} is a stimulus of --sense {name}; with --sense "
                f"{sense} {instead}leave it out"
            )
    return files.get(sense)


def _show_demo(
    run: Callable[[Callable[[str], None], Callable[[int, int], None]], dict[str, Any]],
    out: Path,
    frames: tuple[str, str] = ("frames", "session"),
) -> None:
    """Run a demo with a progress bar, and print its figures.

    run: from functions for notices and for progress to figures. frames: what the bar
    counts, and of what.
    """
    from rtrecon.session.summary import make_summary_table

    with _show_frames(*frames) as show_frames:
        summary = run(notify, show_frames)
    terminal.stdout.print(make_summary_table(summary))
    notify(f"The results are in {out}")


@contextmanager
def _show_frames(unit: str, name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yields a function of frames done and their total."""
    with progress_bars(unit) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
