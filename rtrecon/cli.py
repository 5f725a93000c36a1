"""The commands. Each reads its arguments, calls one function and speaks sentences."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from rtrecon import config
from rtrecon.errors import UserError

app = typer.Typer(
    help="The movie a mouse is watching, reconstructed while it watches.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out = Console()
_err = Console(stderr=True, highlight=False)

ConfigPath = Annotated[Path, typer.Argument(help="Settings file (TOML).")]


@app.command()
def run(settings: ConfigPath) -> None:
    """Run the daemon: frames in, activity, movie and quality out."""
    given = config.load(settings)  # a mistake is told before anything heavy is loaded
    from rtrecon import daemon

    daemon.run(given, _say)


@app.command()
def display(
    publish: Annotated[
        str, typer.Option(help="Where the daemon publishes.")
    ] = "tcp://127.0.0.1:5562",
    control: Annotated[
        str, typer.Option(help="Where the daemon takes requests.")
    ] = "tcp://127.0.0.1:5563",
    snapshot: Annotated[
        Path | None, typer.Option(help="PNG of the window, kept up to date.")
    ] = None,
    headless: Annotated[bool, typer.Option(help="Draw without a screen.")] = False,
    close_with_daemon: Annotated[
        bool, typer.Option(help="Close when the daemon stops.")
    ] = False,
) -> None:
    """Show the live movie; attaches to a running daemon at any time."""
    from rtrecon import display as station

    options = station.DisplayOptions(
        publish=publish,
        control=control,
        snapshot=snapshot,
        headless=headless,
        close_with_daemon=close_with_daemon,
    )
    raise typer.Exit(station.run(options))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A ScanImage TIFF recording.")],
    to: Annotated[
        str, typer.Option(help="Where the daemon takes frames.")
    ] = "tcp://127.0.0.1:5560",
    speed: Annotated[
        float, typer.Option(help="1 = as recorded; 0 = as fast as it is taken.")
    ] = 1.0,
    loops: Annotated[int, typer.Option(help="How often; 0 = for ever.")] = 1,
    channel: Annotated[
        int | None,
        typer.Option(help="Channel number; all that were saved if not given."),
    ] = None,
) -> None:
    """Stream a recording to the daemon as if the microscope were running."""
    from rtrecon.replay import replay as send

    with _progress("frames") as progress:
        task = progress.add_task("replay", total=None)

        def told(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        report = send(
            file,
            to,
            speed=speed or None,
            loops=loops or None,
            channel=channel,
            on_progress=told,
        )
    if report.notice:
        _err.print(report.notice)
    _say(
        f"{report.frames_sent} frames sent, {report.frames_dropped} dropped, "
        f"{report.wall_s:.1f} s"
    )


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Checkpoint to write (.safetensors).")],
    minutes: Annotated[float, typer.Option(help="Simulated session to train on.")] = 20,
    neurons: Annotated[
        int, typer.Option(help="Neurons of the simulated mouse.")
    ] = 1000,
    mouse: Annotated[int, typer.Option(help="Which simulated mouse (a seed).")] = 0,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 12,
    side_px: Annotated[int, typer.Option(help="Lines and pixels of the field.")] = 512,
    settings: Annotated[
        Path | None, typer.Option(help="Settings file whose traces to train on.")
    ] = None,
) -> None:
    """Train a compact encoder on a stretch of simulated session."""
    from rtrecon import train as training
    from rtrecon.encoder.fit import Recipe

    plan = training.SimulatedTraining(minutes, neurons, side_px, mouse)
    used = config.load(settings) if settings else config.Settings()
    with _progress("%") as progress:
        told = _Stages(progress)
        checkpoint = training.train_simulated(
            plan, Recipe(epochs=epochs), used, out, told
        )
    score = checkpoint.card.meta["validation_r"]
    _say(f"{out} written: {neurons} neurons, r = {score} on clips not trained on")


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(help="Length of the session.")] = 120.0,
    headless: Annotated[bool, typer.Option(help="Draw without a screen.")] = False,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("demo-out"),
    video: Annotated[
        Path | None, typer.Option(help="A video file to show instead.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which session (movie, noise).")] = 1,
) -> None:
    """Simulate a session and reconstruct it live, end to end."""
    from rtrecon import demo as show
    from rtrecon.record.summary import summary_table

    plan = show.Plan(
        seconds=seconds, headless=headless, out=out, video=video, seed=seed
    )
    with _progress("frames") as progress:
        task = progress.add_task("session", total=None)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        summary = show.run(plan, _say, told)
    _out.print(summary_table(summary))
    _say(f"results are in {out}")


@app.command()
def check(settings: ConfigPath) -> None:
    """Validate settings, files and ports; say what this machine sustains."""
    given = config.load(settings)
    from rtrecon import check as checking

    for line in checking.check(given):
        _say(line)


@app.command()
def field(
    session: Annotated[Path, typer.Argument(help="Folder of a recorded session.")],
) -> None:
    """Compare a session's field with the one stored with its encoder: a picture."""
    from rtrecon.fields import field_reports

    for line in field_reports(session):
        _say(line)


@app.command()
def rois(
    recording: Annotated[Path, typer.Argument(help="A TIFF recording.")],
    out: Annotated[Path, typer.Option(help="Masks to write (.json).")] = Path(
        "rois.json"
    ),
    picture: Annotated[
        Path | None, typer.Option(help="PNG of them; beside the masks if not given.")
    ] = None,
    method: Annotated[
        Literal["builtin", "suite2p", "auto"],
        typer.Option(help="auto: suite2p where it is installed."),
    ] = "builtin",
    diameter_px: Annotated[
        float | None, typer.Option(help="Of a soma; 10 um or 10 px if not given.")
    ] = None,
    diameter_um: Annotated[
        float | None, typer.Option(help="The same, where the file tells its scale.")
    ] = None,
    channel: Annotated[
        int | None, typer.Option(help="Channel number; the first if not given.")
    ] = None,
    plane: Annotated[int, typer.Option(help="Plane of a volume, from 0.")] = 0,
) -> None:
    """Find neurons in a recording; writes masks and a picture of them."""
    from rtrecon.detect.find import Plan, find_rois

    plan = Plan(
        recording=recording,
        out=out,
        picture=picture or out.with_suffix(".png"),
        method=method,
        diameter_px=diameter_px,
        diameter_um=diameter_um,
        channel=channel,
        plane=plane,
    )
    with _progress("%") as progress:
        found = find_rois(plan, _Stages(progress))
    if found.notice:
        _err.print(found.notice)
    _say(f"{found.sentence()}; written to {out} and {plan.picture}")


@app.command("convert")
def convert_published(
    sources: Annotated[
        list[Path], typer.Argument(help="Files as their authors saved them (.pth).")
    ],
    out: Annotated[Path, typer.Option(help="File to write (.safetensors).")],
    mouse: Annotated[
        str | None,
        typer.Option(help="Whose readout: 0 to 9, or a name such as 29515-10-12."),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(help="Ids of its neurons, in order (unit_ids.npy of its folder)."),
    ] = None,
) -> None:
    """Turn published encoders, one or an ensemble, into a file of ours for one mouse."""
    from rtrecon.encoder.convert import convert
    from rtrecon.sources.npy import read_numbers

    converted = convert(sources, out, mouse, read_numbers(ids) if ids else None)
    _say(
        f"{out} written: {len(sources)} models of mouse {converted}, "
        f"{converted.n_neurons} neurons"
    )


@app.command(hidden=True)
def invert() -> None:
    """Run the inverter on settings from standard input (started by the daemon)."""
    from rtrecon import inverter

    inverter.run(config.parse(sys.stdin.read()))


class _Stages:
    """Stages of a long work: bars on a terminal, a line per tenth in a log file."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._told: set[tuple[str, int]] = set()

    def __call__(self, stage: str, share: float, word: str) -> None:
        """Show that `share` 0..1 of the stage is done."""
        text, tenth = f"{stage}: {word}", (stage, int(10 * share))
        if not _err.is_terminal and tenth not in self._told:
            self._told.add(tenth)
            _say(text)
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=100)
        bar = self._bars[stage]
        self._progress.update(bar, completed=100 * share, description=text)


@contextmanager
def _progress(unit: str) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_err) as progress:
        yield progress


def _say(sentence: str) -> None:
    now = datetime.now().strftime("%H:%M:%S")
    _out.print(f"[dim]{now}[/dim] ", end="")
    _out.print(sentence, markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; a user's mistake is a sentence and exit status 2."""
    try:
        app()
    except UserError as error:
        _err.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
