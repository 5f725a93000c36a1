"""Weights of a DwiseNeuro outside of the checkpoint that refers to them.

They stay in the files that the authors saved or that `rtrecon convert` made. The
checkpoint holds names and hashes of these files, so that a changed file is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

from rtrecon.encoder.card import Card, CheckpointError
from rtrecon.encoder.dwiseneuro.author_files import MouseModel
from rtrecon.encoder.dwiseneuro.inference import DwiseNeuroEncoder, read_models
from rtrecon.encoder.dwiseneuro.live import ALLOWED_STRIDES
from rtrecon.encoder.tensor_files import hash_file

EXTERNAL_WEIGHTS_KEY = "external_weights"  # in the metadata of a checkpoint


class WeightsFile(msgspec.Struct, frozen=True):
    """A file of weights: its name, the path it was at, and the hash of its content."""

    name: str
    path: str
    sha256: str


class ExternalWeights(msgspec.Struct, frozen=True):
    """Files and mouse of a DwiseNeuro, and the parameters of its live use.

    mouse: index of the readout. mouse_name: empty if unknown. behavior_mean: taken
    where behavior is unknown, see `Mouse`. stride_frames: see `LiveDwiseNeuro`.
    """

    files: tuple[WeightsFile, ...]
    mouse: int
    mouse_name: str
    behavior_mean: tuple[float, ...]
    stride_frames: Annotated[
        int, msgspec.Meta(ge=ALLOWED_STRIDES.start, lt=ALLOWED_STRIDES.stop)
    ]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values


def describe_external_weights(
    paths: Sequence[Path], model: MouseModel, stride_frames: int
) -> ExternalWeights:
    """Describe the files of an ensemble; `model` is one of its models."""
    files = tuple(
        WeightsFile(path.name, str(path.resolve()), hash_file(path.resolve()))
        for path in paths
    )
    mouse = model.mouse
    return ExternalWeights(
        files, mouse.index, mouse.name, mouse.behavior_mean, stride_frames
    )


def read_external_weights(card: Card) -> ExternalWeights | None:
    """Return the weights a checkpoint refers to; None if it holds its own encoder."""
    described = card.metadata.get(EXTERNAL_WEIGHTS_KEY)
    if described is None:
        return None
    try:
        return msgspec.convert(described, ExternalWeights)
    except msgspec.ValidationError as error:
        raise CheckpointError(
            f"checkpoint {card.path} does not say which published encoder it is for: "
            f"{error}; make it anew with `rtrecon adapt`"
        ) from None


def open_external_encoder(card: Card, weights: ExternalWeights) -> DwiseNeuroEncoder:
    """Open the encoder that a checkpoint refers to, on the CPU.

    Raises `CheckpointError`.
    """
    paths = [_locate_file(card, file) for file in weights.files]
    models = [
        set_behavior_mean(model, weights.behavior_mean)
        for path in paths
        for model in read_models(path, weights.mouse)
    ]
    encoder = DwiseNeuroEncoder(models)
    if encoder.n_neurons != len(card.rois):
        raise CheckpointError(
            f"checkpoint {card.path} has {len(card.rois)} neurons, its published "
            f"encoder {encoder.n_neurons}; make it anew with `rtrecon adapt`"
        )
    return encoder


def set_behavior_mean(model: MouseModel, mean: tuple[float, ...]) -> MouseModel:
    """Return a model that takes this behavior where none is known."""
    return replace(model, mouse=replace(model.mouse, behavior_mean=mean))


def _locate_file(card: Card, file: WeightsFile) -> Path:
    """Return the path of a file: its stored path, or beside the checkpoint."""
    candidates = [Path(file.path), card.path.parent / file.name]
    existing = [path for path in candidates if path.is_file()]
    for path in existing:
        if hash_file(path) == file.sha256:
            return path
    if existing:
        raise CheckpointError(
            f"checkpoint {card.path} was made for another content of {existing[0]}, "
            "which has changed since; put the old file there, or make a new "
            "checkpoint with `rtrecon adapt`"
        )
    raise CheckpointError(
        f"checkpoint {card.path} needs the published encoder {file.path}, which does "
        f"not exist; put {file.name} there or beside the checkpoint"
    )
