"""Commands that make encoders: train, convert, adapt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rtrecon import config
from rtrecon.cli.options import Device, MouseName
from rtrecon.cli.terminal import ProgressReporter, notify, progress_bars
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.simulate.subjects.registry import describe_subjects
from rtrecon.simulate.subjects.subject import DEFAULT_SUBJECT, SubjectOptions
from rtrecon.stimulus_space.registry import SpaceName
from rtrecon.stimulus_space.video import MAX_SIDE_PX, MIN_SIDE_PX

if TYPE_CHECKING:
    from rtrecon.encoder.checkpoint import Checkpoint
    from rtrecon.training import TrainingOptions
    from rtrecon.training.compact.fit import TrainingRecipe


def train(
    out: Annotated[Path, typer.Option(help="Encoder to write (.safetensors).")],
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Length of the simulated session in minutes. Default: 20; of sound "
            "and touch 10."
        ),
    ] = None,
    neurons: Annotated[
        int | None,
        typer.Option(
            help="Number of simulated neurons. Default: 1000; of sound 500, of touch "
            "300."
        ),
    ] = None,
    mouse: Annotated[int, typer.Option(help="Seed of the simulated mouse.")] = 0,
    epochs: Annotated[int, typer.Option(help="Largest number of epochs.")] = 12,
    side_px: Annotated[
        int, typer.Option(help="Lines and pixels of the simulated field.")
    ] = 512,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", help="Train on a simulated session, which is the default."
        ),
    ] = False,
    sense: Annotated[
        SpaceName, typer.Option(help="Sense of the simulated neurons.")
    ] = "video",
    subject: Annotated[
        str,
        typer.Option(help=f"Neurons to simulate: {describe_subjects()}."),
    ] = DEFAULT_SUBJECT,
    spread: Annotated[
        float | None,
        typer.Option(
            help="Spread of the simulated receptive fields; 1: as recorded. Default: "
            "the whole screen (simulated), or 1."
        ),
    ] = None,
    direction_selective: Annotated[
        float | None,
        typer.Option(
            help="Share of direction-selective neurons (0 to 1). Default: about 0.3."
        ),
    ] = None,
    noise: Annotated[
        Literal["poisson", "sensorium"],
        typer.Option(
            help="Noise of the simulated neurons; sensorium: rare large events, as in "
            "those recordings."
        ),
    ] = "poisson",
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of videos to mix into the simulated session."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs to mix in; a moving eye sees each for 5 s."
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings file whose section traces extracts the activity."),
    ] = None,
    sensorium: Annotated[
        Path | None, typer.Option(help="Train on this Sensorium 2023 folder.")
    ] = None,
    session: Annotated[
        Path | None, typer.Option(help="Train on this recorded session.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Height and width of the movie, such as 54x96, not larger than the "
            "session's. Default: as recorded."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="Frames of the movie per second, the session's or a whole fraction of "
            "it. Default: as recorded."
        ),
    ] = None,
    encoder_form: Annotated[
        Literal["auto", "convolutional", "compact"],
        typer.Option(
            help="compact: filters of the neurons' own, fast live; convolutional: "
            "readouts of features that ship with rtrecon, predicts better and is "
            "slower live; auto: the one that predicts better."
        ),
    ] = "compact",
    freeze_core: Annotated[
        str | None,
        typer.Option(
            help="Encoder of other neurons (or demo) whose core to reuse; trains only "
            "the readouts of the new neurons."
        ),
    ] = None,
    ignore_lag: Annotated[
        bool,
        typer.Option(
            "--ignore-lag",
            help="Train even if no neuron of the session follows its stimulus.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option(help="Continue an interrupted training.")
    ] = False,
    patience: Annotated[
        int, typer.Option(help="Epochs without improvement before training ends.")
    ] = 5,
    average: Annotated[
        float,
        typer.Option(help="Decay of the moving average of weights; 0 = no average."),
    ] = 0.0,
    cutmix: Annotated[
        float, typer.Option(help="Fraction (0 to 1) of batches with CutMix.")
    ] = 0.0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Where to train; auto: a GPU if there is one."),
    ] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="Arithmetic; auto: bfloat16 on a GPU that supports it."),
    ] = "auto",
) -> None:
    """Train an encoder: simulated mouse, recorded session, or Sensorium."""
    # Before the imports, which take seconds.
    with _report_in_main_process():
        shape = parse_size(size)
        if session is None and (size is not None or rate is not None):
            raise UserError(
                "--size and --rate are for a recorded session; leave them out, or give "
                "--session"
            )
        if rate is not None and not rate > 0:  # also refuses NaN
            raise UserError(f"--rate {rate:g} is no rate; give frames per second")
        if sensorium and session:
            raise UserError("give --sensorium or --session, not both")
        if simulate and (sensorium or session):
            raise UserError(
                "--simulate trains on a simulated session; leave it out, or leave out "
                "--session and --sensorium"
            )
        of_vision = {
            "subject": None if subject == DEFAULT_SUBJECT else subject,
            "spread": spread,
            "direction_selective": direction_selective,
            "noise": None if noise == "poisson" else noise,
            "videos": videos,
            "pictures": pictures,
        }
        if sensorium or session:
            of_sense = None if sense == "video" else sense
            _refuse_simulation_options(**of_vision, sense=of_sense)
        elif sense != "video":
            _refuse_vision_options(sense, **of_vision, settings=settings)
    from rtrecon import training
    from rtrecon.encoder.card import find_checkpoint
    from rtrecon.simulate.imaged_mouse import ImagedMouseOptions
    from rtrecon.simulate.training_movie import MovieFolders
    from rtrecon.training.compact.fit import READOUT_RECIPE, TrainingRecipe

    recipe = replace(
        READOUT_RECIPE if freeze_core else TrainingRecipe(),
        epochs=epochs,
        patience=patience,
        ema_decay=average,
        cutmix_fraction=cutmix,
    )
    with (
        training.join_process_group(device, precision) as context,
        _report_progress(context.is_main) as on_progress,
    ):
        # In here, only one of the processes of `torchrun` reports an error.
        core = find_checkpoint(freeze_core) if freeze_core else None
        options = training.TrainingOptions(
            resume, core, context, ignore_lag, encoder_form
        )
        if sensorium:
            made = training.train_on_sensorium(
                sensorium, recipe, out, on_progress, options
            )
        elif session:
            movie = training.MovieRequest(shape, rate)
            made = training.train_on_session(
                session, recipe, out, on_progress, options, movie
            )
        elif sense != "video":
            made = _train_on_sense(
                (sense, neurons, mouse, minutes), recipe, out, on_progress, options
            )
        else:
            n_neurons = 1000 if neurons is None else neurons
            chosen = SubjectOptions(
                subject, n_neurons, mouse, spread, direction_selective, noise
            )
            simulated = training.SimulatedTraining(
                20 if minutes is None else minutes,
                ImagedMouseOptions(chosen, side_px),
                MovieFolders(videos, pictures),
            )
            loaded = config.load(settings) if settings else config.Settings()
            made = training.train_on_simulation(
                simulated, recipe, loaded, out, on_progress, options
            )
    if context.is_main:
        for notice in made.card.metadata["notices"]:
            notify(notice)
        notify(f"{out} written: {len(made.card.rois)} neurons")
        for sentence in training.assess_encoder(made.card.metadata):
            notify(sentence)
        if made.decoder is not None:
            notify(training.assess_decoder(made.decoder))


@contextmanager
def _report_in_main_process() -> Iterator[None]:
    """Let only the main process of `torchrun` raise a UserError, which all meet.

    The others end without an error: `torchrun` ends all processes at the first error,
    and the main process would have no time to report it.
    """
    try:
        yield
    except UserError:
        if os.environ.get("RANK", "0") != "0":
            raise typer.Exit from None
        raise


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Return height and width of a size such as 54x96; UserError if it is none."""
    if text is None:
        return None
    sides = text.lower().replace(" ", "").split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise UserError(f"--size {text} is no size; give height x width, such as 54x96")
    height, width = map(int, sides)
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (height, width)):
        raise UserError(
            f"--size {text} is not possible; give {MIN_SIDE_PX} to {MAX_SIDE_PX} px "
            "for each side"
        )
    return height, width


def _train_on_sense(
    chosen: tuple[SpaceName, int | None, int, float | None],
    recipe: TrainingRecipe,
    out: Path,
    on_progress: ProgressCallback,
    options: TrainingOptions,
) -> Checkpoint:
    """Train on simulated neurons; chosen: sense, neurons, seed and minutes."""
    from rtrecon import training
    from rtrecon.simulate.senses import find_sense
    from rtrecon.simulate.sensory_session import SensoryOptions

    sense, n_neurons, seed, minutes = chosen
    count = find_sense(sense).n_neurons if n_neurons is None else n_neurons
    plan = training.SensoryTraining(SensoryOptions(sense, count, seed))
    if minutes is not None:
        plan = replace(plan, minutes=minutes)
    return training.train_on_sense(plan, recipe, out, on_progress, options)


def _refuse_vision_options(sense: SpaceName, **options: object) -> None:
    """Raise UserError if the user gave an option that only simulated vision has."""
    for name, value in options.items():
        if value is not None:
            raise UserError(
                f"--{name.replace('_', '-')} is for movies; leave it out with --sense "
                f"{sense}"
            )


def _refuse_simulation_options(**options: object) -> None:
    """Raise UserError if the user gave an option that only a simulation has."""
    for name, value in options.items():
        if value is not None:
            raise UserError(
                f"--{name.replace('_', '-')} is for a simulated session; leave it out, "
                "or leave out --session and --sensorium"
            )


@contextmanager
def _report_progress(is_main: bool) -> Iterator[ProgressCallback]:
    """Show progress if this is the main process of the training."""
    if not is_main:
        yield ignore_progress
        return
    with progress_bars("%") as progress:
        yield ProgressReporter(progress)


def convert(
    sources: Annotated[
        list[Path], typer.Argument(help="Files that the authors saved (.pth).")
    ],
    out: Annotated[Path, typer.Option(help="File to write (.safetensors).")],
    mouse: Annotated[
        str | None,
        typer.Option(help="Mouse: 0 to 9, or a name such as 29515-10-12."),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(help="Ids of its neurons, in order (unit_ids.npy of its folder)."),
    ] = None,
) -> None:
    """Convert published encoders of one mouse, one or an ensemble, to one file."""
    from rtrecon.encoder.dwiseneuro import convert as conversion
    from rtrecon.sources.npy import read_numbers

    converted = conversion.convert_author_files(
        sources, out, mouse, read_numbers(ids) if ids else None
    )
    notify(
        f"{out} written: {len(sources)} models of mouse {converted}, "
        f"{converted.n_neurons} neurons"
    )


def adapt(
    published: Annotated[
        list[Path],
        typer.Argument(help="Published encoders, one or an ensemble."),
    ],
    out: Annotated[Path, typer.Option(help="Encoder to write (.safetensors).")],
    sensorium: Annotated[
        Path | None, typer.Option(help="Sensorium 2023 folder of their mouse.")
    ] = None,
    session: Annotated[
        Path | None, typer.Option(help="Recorded session of their mouse.")
    ] = None,
    mouse: MouseName = None,
    frames: Annotated[
        int,
        typer.Option(help="Frames to calibrate with; take few if there is no GPU."),
    ] = 900,
    stride_frames: Annotated[
        int,
        typer.Option(
            help="Frames between windows (1 to 32); fewer is better and slower."
        ),
    ] = 16,
    device: Device = "cpu",
) -> None:
    """Prepare published encoders for live inversion and MAP."""
    from rtrecon.training import adapt as adaptation
    from rtrecon.training import assess_encoder

    if bool(sensorium) == bool(session):
        raise UserError("give one recording: either --sensorium or --session")
    request = adaptation.AdaptRequest(
        published, out, mouse, frames, stride_frames, device
    )
    with progress_bars("%") as progress:
        reporter = ProgressReporter(progress)
        if sensorium:
            made = adaptation.adapt_to_sensorium(request, sensorium, reporter)
        else:
            assert session is not None
            made = adaptation.adapt_to_session(request, session, reporter)
    notify(
        f"{out} written: {len(made.card.rois)} neurons; it refers to {len(published)} "
        "files: keep them"
    )
    for sentence in assess_encoder(made.card.metadata):
        notify(sentence)
