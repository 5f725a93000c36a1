"""Commands at the desk: find neurons, train and convert encoders, reconstruct."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from rtrecon import config
from rtrecon.cli import terminal
from rtrecon.cli.terminal import Stages, progress_bars, say
from rtrecon.core.errors import UserError

SessionFolder = Annotated[Path, typer.Argument(help="Folder of a recorded session.")]
Encoders = Annotated[
    list[Path] | None,
    typer.Option(help="Checkpoint; several for an ensemble; demo if not given."),
]
ReadoutOf = Annotated[
    str | None, typer.Option(help="Whose readout of a published encoder.")
]
Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="Of a published encoder.")]


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
    from rtrecon.detection.command import Plan, find_rois

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
    with progress_bars("%") as progress:
        found = find_rois(plan, Stages(progress))
    if found.notice:
        terminal.err.print(found.notice)
    say(f"{found.sentence()}; written to {out} and {plan.picture}")


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
    sensorium: Annotated[
        Path | None, typer.Option(help="Train on a Sensorium 2023 folder instead.")
    ] = None,
    session: Annotated[
        Path | None, typer.Option(help="Train on a session that we recorded instead.")
    ] = None,
    freeze_core: Annotated[
        str | None,
        typer.Option(
            help="Known checkpoint (or demo): fit new neurons' readouts only."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on with training that was not over.")
    ] = False,
    patience: Annotated[
        int, typer.Option(help="Epochs without gain before it ends.")
    ] = 5,
    average: Annotated[
        float, typer.Option(help="Moving average of weights; 0 = none.")
    ] = 0.0,
    cutmix: Annotated[
        float, typer.Option(help="Share of batches that are mixed, 0 to 1.")
    ] = 0.0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="auto: a GPU, if there is one."),
    ] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="auto: bfloat16 on a GPU made for it."),
    ] = "auto",
) -> None:
    """Train a compact encoder on a simulated, a recorded or a Sensorium session."""
    from rtrecon import training as training
    from rtrecon.encoder.card import find
    from rtrecon.training.compact.fit import READOUTS, Recipe

    recipe = replace(
        READOUTS if freeze_core else Recipe(),
        epochs=epochs,
        patience=patience,
        average=average,
        cutmix=cutmix,
    )
    core = find(freeze_core) if freeze_core else None
    with training.join(device, precision) as place, _told_by(place.leads) as told:
        if sensorium and session:
            raise UserError("give --sensorium or --session, not both")
        start = training.Start(resume, core, place)
        if sensorium:
            made = training.train_sensorium(sensorium, recipe, out, told, start)
        elif session:
            made = training.train_recorded(session, recipe, out, told, start)
        else:
            plan = training.SimulatedTraining(minutes, neurons, side_px, mouse)
            used = config.load(settings) if settings else config.Settings()
            made = training.train_simulated(plan, recipe, used, out, told, start)
    if place.leads:
        for note in made.card.meta["notes"]:
            say(note)
        say(
            f"{out} written: {len(made.card.rois)} neurons, "
            f"r = {made.card.meta['validation_r']} on clips not trained on"
        )


@contextmanager
def _told_by(one: bool) -> Iterator[Callable[[str, float, str], None]]:
    """Tell of the stages of a work, if this is the one process that does."""
    if not one:
        yield lambda *_: None
        return
    with progress_bars("%") as progress:
        yield Stages(progress)


def convert(
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
    """Turn published encoders, one or an ensemble, into one file for one mouse."""
    from rtrecon.encoder.dwiseneuro import convert as conversion
    from rtrecon.sources.npy import read_numbers

    converted = conversion.convert(
        sources, out, mouse, read_numbers(ids) if ids else None
    )
    say(
        f"{out} written: {len(sources)} models of mouse {converted}, "
        f"{converted.n_neurons} neurons"
    )


def adapt(
    published: Annotated[
        list[Path],
        typer.Argument(
            help="Published encoders, one or an ensemble; converted or not."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Checkpoint to write (.safetensors).")],
    sensorium: Annotated[
        Path | None, typer.Option(help="Sensorium 2023 folder of their mouse.")
    ] = None,
    session: Annotated[
        Path | None, typer.Option(help="Or a session that we recorded of it.")
    ] = None,
    mouse: ReadoutOf = None,
    frames: Annotated[
        int, typer.Option(help="To calibrate with; without a GPU, few: it takes long.")
    ] = 900,
    stride_frames: Annotated[
        int,
        typer.Option(
            help="Between windows that answer, 1 to 32; fewer: better, slower."
        ),
    ] = 16,
    device: Device = "cpu",
) -> None:
    """Make published encoders fit for live and map: a prior, and what they know."""
    from rtrecon.training import adapt

    plan = adapt.Plan(published, out, mouse, frames, stride_frames, device)
    with progress_bars("%") as progress:
        told = Stages(progress)
        if sensorium and not session:
            made = adapt.adapt_to_sensorium(plan, sensorium, told)
        elif session and not sensorium:
            made = adapt.adapt_to_session(plan, session, told)
        else:
            raise UserError("give one recording: either --sensorium or --session")
    say(
        f"{out} written: {len(made.card.rois)} neurons, "
        f"r = {made.card.meta['validation_r']}; it refers to {len(published)} files, "
        "keep them"
    )


def reconstruct(
    session: SessionFolder,
    out: Annotated[
        Path, typer.Option(help="Where results go; what is there is gone on with.")
    ],
    encoder: Encoders = None,
    method: Annotated[
        Literal["live", "map", "published"],
        typer.Option(help="live: replayed as it was; map, published: offline."),
    ] = "live",
    start_s: Annotated[float, typer.Option(help="From here in the session.")] = 0.0,
    seconds: Annotated[float, typer.Option(help="So much of it.")] = 10.0,
    steps: Annotated[
        int | None,
        typer.Option(help="Per hop (live), or in all; the usual if not given."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Transparency mask, see `rtrecon mask`.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask cluster to work on, tcp://host:8786.")
    ] = None,
    mouse: ReadoutOf = None,
    device: Device = "cpu",
) -> None:
    """Reconstruct a stretch of a recorded session; goes on if it was stopped."""
    from rtrecon.inversion.offline.clips import stretch
    from rtrecon.inversion.offline.command import Plan
    from rtrecon.inversion.offline.command import reconstruct as make

    plan = Plan(
        source=stretch(session, start_s, seconds),
        out=out,
        encoders=encoder or [Path("demo")],
        method=method,
        steps=steps,
        mask=mask,
        scheduler=scheduler,
        mouse=mouse,
        device=device,
    )
    with progress_bars("%") as progress:
        outcome = make(plan, Stages(progress))
    say(f"{outcome.sentence()}; written to {out}")


def mask(
    session: SessionFolder,
    encoder: Annotated[Path, typer.Option(help="An encoder not trained on it.")],
    out: Annotated[Path, typer.Option(help="Mask to write (.npy).")],
    steps: Annotated[int, typer.Option(help="Of the training.")] = 1000,
    seed: Annotated[int, typer.Option(help="Which trials are taken.")] = 0,
    mouse: ReadoutOf = None,
    device: Device = "cpu",
) -> None:
    """Train the transparency mask of the published protocol: what neurons can see."""
    from rtrecon.inversion.offline.mask_command import MaskPlan, make_mask

    plan = MaskPlan(session, encoder, out, steps, seed, mouse, device)
    with progress_bars("%") as progress:
        sentence = make_mask(plan, Stages(progress))
    say(sentence)


def evaluate(
    session: Annotated[
        Path | None, typer.Argument(help="Folder of a recorded session.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for figures, page and report.")
    ] = Path("evaluation"),
    encoder: Encoders = None,
    simulate: Annotated[
        bool, typer.Option(help="Simulate a session of the encoder's mouse instead.")
    ] = False,
    video: Annotated[
        Path | None, typer.Option(help="A video file that is shown in it.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="So much of it.")] = 60.0,
    mask: Annotated[
        Path | None, typer.Option(help="Figures also inside it, see `rtrecon mask`.")
    ] = None,
    controls: Annotated[
        bool, typer.Option(help="Also what should fail, and unusual stimuli.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Held-out neurons, nulls, noise.")] = 1,
) -> None:
    """Tell how good a session's reconstruction is, and what that rests on."""
    from rtrecon.analysis import evaluation as evaluating

    if simulate == (session is not None):
        raise UserError("give the folder of a recorded session, or --simulate")
    if video is not None and not simulate:
        raise UserError("--video is shown in a simulated session; add --simulate")
    plan = evaluating.Plan(
        session=session or evaluating.Simulation(seconds, video),
        out=out,
        encoders=encoder or [Path("demo")],
        mask=mask,
        controls=controls,
        seed=seed,
    )
    with progress_bars("%") as progress:
        found = evaluating.evaluate(plan, Stages(progress))
    terminal.out.print(evaluating.evaluation_table(found))
    for note in found.notes:
        say(note)
    say(f"{found.sentence()}; written to {out}")
