"""Commands that reconstruct recorded sessions offline: reconstruct, mask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rtrecon.cli.options import Device, EncoderFiles, MouseName, SessionFolder
from rtrecon.cli.terminal import ProgressReporter, notify, progress_bars


def reconstruct(
    session: SessionFolder,
    out: Annotated[
        Path, typer.Option(help="Output folder; an interrupted run in it is resumed.")
    ],
    encoder: EncoderFiles = None,
    method: Annotated[
        Literal["live", "map", "published"],
        typer.Option(
            help="live: as in the live session; map: offline, without deadlines; "
            "published: the published protocol."
        ),
    ] = "live",
    start_s: Annotated[
        float, typer.Option(help="Start in the session, in seconds.")
    ] = 0.0,
    seconds: Annotated[
        float, typer.Option(help="Duration to reconstruct, in seconds.")
    ] = 10.0,
    steps: Annotated[
        int | None,
        typer.Option(help="Optimiser steps: per hop (live), or in total."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Transparency mask of `rtrecon mask` (.npy).")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask cluster: tcp://host:8786.")
    ] = None,
    mouse: MouseName = None,
    device: Device = "cpu",
) -> None:
    """Reconstruct part of a recorded session; resumes an interrupted run."""
    from rtrecon.inversion.offline.clips import (
        find_session_encoder,
        list_damage_notices,
        select_segment,
    )
    from rtrecon.inversion.offline.command import (
        ReconstructionRequest,
        run_reconstruction,
    )

    request = ReconstructionRequest(
        source=select_segment(session, start_s, seconds),
        output_folder=out,
        encoders=encoder or [find_session_encoder(session)],
        method=method,
        steps=steps,
        mask=mask,
        scheduler=scheduler,
        mouse=mouse,
        device=device,
    )
    with progress_bars("%") as progress:
        result = run_reconstruction(request, ProgressReporter(progress))
    for notice in list_damage_notices(session):
        notify(notice)
    notify(f"{result.summary_sentence()}; written to {out}")


def mask(
    session: SessionFolder,
    encoder: Annotated[
        Path, typer.Option(help="Encoder that was not trained on this session.")
    ],
    out: Annotated[Path, typer.Option(help="Mask to write (.npy).")],
    steps: Annotated[int, typer.Option(help="Steps of the training.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed that chooses the trials.")] = 0,
    mouse: MouseName = None,
    device: Device = "cpu",
) -> None:
    """Train the transparency mask: which pixels do the neurons respond to?"""
    from rtrecon.inversion.offline.mask_command import MaskRequest, create_mask_file

    request = MaskRequest(session, encoder, out, steps, seed, mouse, device)
    with progress_bars("%") as progress:
        notify(create_mask_file(request, ProgressReporter(progress)))
