"""The published encoder of one mouse as safetensors: small, and nothing to unpickle.

One file holds one model or the several of an ensemble, and the ids of the neurons that
they answer for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.card import CheckpointError, make_room
from rtrecon.encoder.dwiseneuro.author_files import (
    Model,
    Shapes,
    network_shapes,
    read_published,
    require_shapes,
    shapes_of,
)
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse, choose
from rtrecon.encoder.dwiseneuro.network import Architecture

SUFFIX = ".safetensors"
_FORMAT = 1
_HEADER = "rtrecon-published"
_IDS = "neuron_ids"


class _Part(msgspec.Struct):
    """What the header says of one model."""

    sizes: Architecture
    source: str
    sha256: str


class _Header(msgspec.Struct):
    """What a converted file says of itself; `architecture` is for people."""

    format: int
    architecture: str
    mouse: Mouse
    models: list[_Part]


def convert(
    sources: Sequence[Path],
    out: Path,
    mouse: str | int | None = None,
    neuron_ids: Array | None = None,
) -> Mouse:
    """Write one mouse's part of published files, an ensemble, as one file; return it.

    mouse: index or name, see `mice`. neuron_ids: (n,) ids in the order of the
    recording that the network was trained on; its places 0, 1, ... if not given. Raises
    `CheckpointError`.
    """
    if out.suffix != SUFFIX:
        raise CheckpointError(f"{out} has to end in {SUFFIX}; give another name")
    make_room(out)
    models = [read_published(source, mouse) for source in sources]
    require_same_neurons(models)
    first = models[0]
    ids = first.neuron_ids if neuron_ids is None else _named(neuron_ids, first.mouse)
    _save(models, ids, out)
    return first.mouse


def read_converted(path: Path, mouse: str | int | None = None) -> list[Model]:
    """Read what `convert` wrote; raises `CheckpointError`, also for another mouse."""
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist; check its path")
    try:
        with safe_open(path, framework="numpy") as file:
            told = (file.metadata() or {})[_HEADER]
        header = msgspec.json.decode(told, type=_Header)
        tensors = load_file(path)
    except (KeyError, SafetensorError, msgspec.DecodeError):
        raise CheckpointError(
            f"checkpoint {path} is not a converted one of the published encoder; make "
            "it with `rtrecon convert`"
        ) from None
    if header.format != _FORMAT:
        raise CheckpointError(
            f"checkpoint {path} has format {header.format}, this version reads "
            f"{_FORMAT}; convert it anew"
        )
    choose(path, [header.mouse], mouse)
    require_shapes(path, shapes_of(tensors), _shapes(header))
    return [
        Model(
            part.sizes,
            header.mouse,
            _under(f"{place}.", tensors),
            tensors[_IDS],
            part.source,
            part.sha256,
        )
        for place, part in enumerate(header.models)
    ]


def require_same_neurons(models: Sequence[Model]) -> None:
    """Refuse models of several mice, or none at all."""
    if not models:
        raise CheckpointError("no checkpoint is given; name one or several")
    first = models[0]
    for other in models[1:]:
        if other.mouse != first.mouse or not torch.equal(
            other.neuron_ids, first.neuron_ids
        ):
            raise CheckpointError(
                f"{first.source} answers for {first.mouse.n_neurons} neurons of mouse "
                f"{first.mouse}, but {other.source} for {other.mouse.n_neurons} of "
                f"mouse {other.mouse} or under other ids; models of one ensemble "
                "answer for the same neurons"
            )


def _save(models: Sequence[Model], neuron_ids: Tensor, out: Path) -> None:
    tensors = {
        f"{place}.{key}": value
        for place, model in enumerate(models)
        for key, value in model.weights.items()
    }
    tensors[_IDS] = neuron_ids
    parts = [_Part(model.sizes, model.source, model.sha256) for model in models]
    header = _Header(_FORMAT, "DwiseNeuro", models[0].mouse, parts)
    half_written = out.with_suffix(".part")  # never in place of an older one
    told = {_HEADER: msgspec.json.encode(header).decode()}
    try:
        save_file(tensors, half_written, told)
        half_written.replace(out)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint {out} cannot be written: {error}") from None


def _named(ids: Array, mouse: Mouse) -> Tensor:
    """Return ids as they are stored; one for every neuron, none twice."""
    if ids.shape != (mouse.n_neurons,) or ids.dtype.kind not in "iu":
        raise CheckpointError(
            f"mouse {mouse} has {mouse.n_neurons} neurons, but their ids are "
            f"{ids.dtype} of shape {ids.shape}; give as many whole numbers"
        )
    if len(np.unique(ids)) < len(ids):
        raise CheckpointError("neurons share an id; give each its own")
    return torch.from_numpy(ids.astype(np.int64))


def _shapes(header: _Header) -> Shapes:
    shapes: Shapes = {_IDS: (header.mouse.n_neurons,)}
    for place, part in enumerate(header.models):
        for key, shape in network_shapes(part.sizes, [header.mouse]).items():
            shapes[f"{place}.{key}"] = shape
    return shapes


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value
        for key, value in tensors.items()
        if key.startswith(prefix)
    }
