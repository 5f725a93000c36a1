"""Commands that analyse recordings and sessions: rois, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rtrecon.cli import sources, terminal
from rtrecon.cli.options import EncoderFiles, Subject
from rtrecon.cli.terminal import ProgressReporter, notify, progress_bars
from rtrecon.core.errors import UserError
from rtrecon.sources.registry import describe_formats


def rois(
    recording: Annotated[
        Path, typer.Argument(help=f"The recording: {describe_formats()}.")
    ],
    out: Annotated[Path, typer.Option(help="Masks to write (.json).")] = Path(
        "rois.json"
    ),
    picture: Annotated[
        Path | None,
        typer.Option(help="PNG file of the masks. Default: beside the masks."),
    ] = None,
    method: Annotated[
        Literal["builtin", "suite2p", "auto"],
        typer.Option(help="Detector; auto: Suite2p if it is installed."),
    ] = "builtin",
    diameter_px: Annotated[
        float | None,
        typer.Option(help="Diameter of a cell body. Default: 10 um, or 10 px."),
    ] = None,
    diameter_um: Annotated[
        float | None,
        typer.Option(help="Diameter in um; the file must store the pixel size."),
    ] = None,
    channel: Annotated[
        int | None, typer.Option(help="Channel number. Default: the first.")
    ] = None,
    plane: Annotated[int, typer.Option(help="Plane of a volume, from 0.")] = 0,
    rate_hz: sources.RateHz = None,
    shape: sources.ImageSize = None,
    field: sources.FieldName = None,
    n_channels: sources.NChannels = None,
    n_planes: sources.NPlanes = None,
    axes: sources.DatasetAxes = "",
) -> None:
    """Find neurons in a recording; write masks and a picture of them."""
    from rtrecon.detection.find_rois import DetectionRequest, find_rois
    from rtrecon.sources.recording import RecordingHints

    request = DetectionRequest(
        recording=recording,
        out=out,
        picture=picture or out.with_suffix(".png"),
        method=method,
        diameter_px=diameter_px,
        diameter_um=diameter_um,
        hints=RecordingHints(
            channel,
            rate_hz,
            sources.parse_size(shape),
            field,
            axes=axes,
            n_channels=n_channels,
            n_planes=n_planes,
        ),
        plane=plane,
    )
    with progress_bars("%") as progress:
        result = find_rois(request, ProgressReporter(progress))
    if result.notice:
        terminal.stderr.print(result.notice, markup=False, soft_wrap=True)
    notify(f"{result.describe()}; written to {out} and {request.picture}")


def evaluate(
    session: Annotated[
        Path | None, typer.Argument(help="Folder of a recorded session.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the scores, the page and the report.")
    ] = Path("evaluation"),
    encoder: EncoderFiles = None,
    simulate: Annotated[
        bool, typer.Option(help="Simulate a session of the encoder's mouse.")
    ] = False,
    video: Annotated[
        Path | None, typer.Option(help="Video file to show in a simulated session.")
    ] = None,
    start_s: Annotated[
        float, typer.Option(help="Start in a recorded session, in seconds.")
    ] = 0.0,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Length in seconds. Default: to the end of a recorded session; a "
            "simulated one lasts 60."
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Score also inside this mask of `rtrecon mask` (.npy)."),
    ] = None,
    controls: Annotated[
        bool, typer.Option(help="Run controls and unusual stimuli as well.")
    ] = True,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Evaluate all clips and controls. Default: as many as about ten "
            "minutes allow.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted evaluation.")
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Seed of held-out neurons, nulls and noise.")
    ] = 1,
    subject: Subject = None,
) -> None:
    """Score a session's reconstruction against nulls and controls."""
    from rtrecon.analysis import evaluation

    if simulate == (session is not None):
        raise UserError("give the folder of a recorded session, or --simulate")
    for name, value in {"video": video, "subject": subject}.items():
        if value is not None and not simulate:
            raise UserError(f"--{name} is for a simulated session; add --simulate")
    simulation = evaluation.SimulationRequest(
        60.0 if seconds is None else seconds, video, subject
    )
    request = evaluation.EvaluationRequest(
        session=session or simulation,
        output_folder=out,
        encoders=encoder or [],
        mask=mask,
        with_controls=controls,
        seed=seed,
        thorough=thorough,
        resume=resume,
        start_s=start_s,
        seconds=seconds,
    )
    with progress_bars("%") as progress:
        result = evaluation.evaluate_session(
            request, ProgressReporter(progress), notify
        )
    terminal.stdout.print(evaluation.make_terminal_table(result))
    for note in result.notes:
        notify(note)
    notify(f"{result.summarize()}; written to {out}")
