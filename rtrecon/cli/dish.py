"""The command on films of neurons in a dish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon.cli.terminal import ProgressReporter, notify, progress_bars


def dish(
    film: Annotated[
        Path,
        typer.Argument(help="TIFF stack, OME-TIFF, folder of TIFF files, or video."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for all results.")] = Path("dish"),
    scale_um: Annotated[
        float | None,
        typer.Option(help="um per pixel in the dish; default: as the file tells."),
    ] = None,
    interval_s: Annotated[
        float | None,
        typer.Option(help="Seconds between pictures; default: as the file tells."),
    ] = None,
    body_um: Annotated[
        float, typer.Option(help="Diameter of a usual cell body, in um.")
    ] = 12.0,
    sensitivity: Annotated[
        float, typer.Option(help="Larger = fainter neurites, and more clutter.")
    ] = 1.0,
    channel: Annotated[
        int | None, typer.Option(help="Channel of the neurites, from 1.")
    ] = None,
    plane: Annotated[
        int | None,
        typer.Option(help="Plane, from 0, if there are several."),
    ] = None,
    position: Annotated[
        int | None, typer.Option(help="Stage position, as the names of files count it.")
    ] = None,
    swc_frame: Annotated[
        list[int] | None,
        typer.Option(
            help="Picture, from 0, whose neurons are written as SWC; can be repeated. "
            "The last one always is."
        ),
    ] = None,
) -> None:
    """Trace neurons in a film of a dish: bodies, neurites, touches over time."""
    from rtrecon.analysis.dish.command import DishRequest, trace_dish
    from rtrecon.analysis.dish.film import FilmRequest

    request = DishRequest(
        FilmRequest(film, scale_um, interval_s, channel, plane, position),
        out,
        body_um,
        sensitivity,
        tuple(swc_frame or ()),
    )
    with progress_bars("%") as progress:
        result = trace_dish(request, ProgressReporter(progress))
    for sentence in result.sentences:
        notify(sentence)
    notify(f"{len(result.paths)} files written to {out}; begin with report.html")
