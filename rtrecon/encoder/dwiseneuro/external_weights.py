"""The published encoder that a checkpoint of ours refers to, and how it is found again.

It stays in the files that its authors saved, or that `rtrecon convert` made; a
checkpoint keeps their names and hashes, so that no other takes its place unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Any

import msgspec

from rtrecon.encoder.card import Card, CheckpointError
from rtrecon.encoder.dwiseneuro.author_files import Model
from rtrecon.encoder.dwiseneuro.inference import Published, read_models
from rtrecon.encoder.dwiseneuro.live import STRIDES

PUBLISHED = "published"  # under which a checkpoint's meta has its `Reference`


class File(msgspec.Struct, frozen=True):
    """A file of the published encoder: where it lay, what it held."""

    name: str
    path: str
    sha256: str


class Reference(msgspec.Struct, frozen=True):
    """Which published encoder is meant, and how it is asked.

    mouse: index of the readout. name: of that mouse, if known. behavior_mean: what
    counts where behaviour is not known, see `Mouse`. stride_frames: see
    `LivePublished`.
    """

    files: tuple[File, ...]
    mouse: int
    name: str
    behavior_mean: tuple[float, ...]
    stride_frames: Annotated[int, msgspec.Meta(ge=STRIDES.start, lt=STRIDES.stop)]

    def meta(self) -> dict[str, Any]:
        """Return it as JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def refer(paths: Sequence[Path], model: Model, stride_frames: int) -> Reference:
    """Return a reference to the files of models that are like this one."""
    files = tuple(
        File(path.name, str(path.resolve()), _sha256(path.resolve())) for path in paths
    )
    mouse = model.mouse
    return Reference(files, mouse.index, mouse.name, mouse.behavior_mean, stride_frames)


def reference_of(card: Card) -> Reference | None:
    """Return what a checkpoint refers to; None if it holds its own encoder."""
    told = card.meta.get(PUBLISHED)
    if told is None:
        return None
    try:
        return msgspec.convert(told, Reference)
    except msgspec.ValidationError as error:
        raise CheckpointError(
            f"checkpoint {card.path} does not say which published encoder it is for: "
            f"{error}; make it anew with `rtrecon adapt`"
        ) from None


def open_published(card: Card, reference: Reference) -> Published:
    """Open what a checkpoint refers to, on the CPU; raises `CheckpointError`."""
    paths = [_found(card, file) for file in reference.files]
    models = [
        with_behavior(model, reference.behavior_mean)
        for path in paths
        for model in read_models(path, reference.mouse)
    ]
    published = Published(models)
    if published.n_neurons != len(card.rois):
        raise CheckpointError(
            f"checkpoint {card.path} knows {len(card.rois)} neurons, its published "
            f"encoder {published.n_neurons}; make it anew with `rtrecon adapt`"
        )
    return published


def with_behavior(model: Model, mean: tuple[float, ...]) -> Model:
    """Return a model that takes this behaviour where it knows none."""
    return replace(model, mouse=replace(model.mouse, behavior_mean=mean))


def _found(card: Card, file: File) -> Path:
    """Return where a file lies: where it lay, or beside the checkpoint."""
    places = [Path(file.path), card.path.parent / file.name]
    there = [path for path in places if path.is_file()]
    for path in there:
        if _sha256(path) == file.sha256:
            return path
    if there:
        raise CheckpointError(
            f"checkpoint {card.path} was made for {there[0]} as it was then, and that "
            "file has changed since; put the old one there, or make a new checkpoint "
            "with `rtrecon adapt`"
        )
    raise CheckpointError(
        f"checkpoint {card.path} needs the published encoder {file.path}, which is not "
        f"there; put {file.name} there or beside the checkpoint"
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from None
