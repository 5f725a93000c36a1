"""DwiseNeuro of one mouse as a safetensors file: small, and without a pickle.

One file holds the models of an ensemble, one or several, and the ids of the neurons
that they predict.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.card import CheckpointError, prepare_output_path
from rtrecon.encoder.dwiseneuro.author_files import (
    MouseModel,
    Shapes,
    list_network_shapes,
    list_tensor_shapes,
    read_author_file,
    require_shapes,
)
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse, choose_mouse
from rtrecon.encoder.dwiseneuro.network import Architecture
from rtrecon.encoder.tensor_files import read_tensors, select_by_prefix, write_tensors

CONVERTED_SUFFIX = ".safetensors"
_FORMAT_VERSION = 1
_HEADER_KEY = "rtrecon-dwiseneuro"
_IDS_KEY = "neuron_ids"


class _ModelHeader(msgspec.Struct):
    """Header of one model: its sizes, and the file that it comes from."""

    architecture: Architecture
    source: str
    sha256: str


class _Header(msgspec.Struct):
    """Header of a converted file; `network` is a name for people to read."""

    format: int
    network: str
    mouse: Mouse
    models: list[_ModelHeader]


def convert_author_files(
    sources: Sequence[Path],
    out: Path,
    mouse: str | int | None = None,
    neuron_ids: Array | None = None,
) -> Mouse:
    """Write one mouse's part of an ensemble of files as one file; return the mouse.

    mouse: index or name, see `choose_mouse`. neuron_ids: (n,) ids in the order of the
    recording that the network was trained on; 0, 1, ... if not given. Raises
    `CheckpointError`.
    """
    if out.suffix != CONVERTED_SUFFIX:
        raise CheckpointError(
            f"{out} has to end in {CONVERTED_SUFFIX}; give another name"
        )
    prepare_output_path(out)
    models = [read_author_file(source, mouse) for source in sources]
    require_one_mouse(models)
    first = models[0]
    ids = first.neuron_ids
    if neuron_ids is not None:
        ids = _validate_ids(neuron_ids, first.mouse)
    _write_converted_file(models, ids, out)
    return first.mouse


def read_converted_file(path: Path, mouse: str | int | None = None) -> list[MouseModel]:
    """Read what `convert_author_files` wrote.

    Raises `CheckpointError`, also where the file is of another mouse.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist; check its path")
    try:
        with safe_open(path, framework="numpy") as file:
            encoded = (file.metadata() or {})[_HEADER_KEY]
        header = msgspec.json.decode(encoded, type=_Header)
        tensors = read_tensors(path)
    except (KeyError, SafetensorError, msgspec.DecodeError):
        raise CheckpointError(
            f"checkpoint {path} is not a converted DwiseNeuro; make one with `rtrecon "
            "convert`"
        ) from None
    if header.format != _FORMAT_VERSION:
        raise CheckpointError(
            f"checkpoint {path} has format {header.format}, this version reads "
            f"{_FORMAT_VERSION}; convert it anew"
        )
    choose_mouse(path, [header.mouse], mouse)
    require_shapes(path, list_tensor_shapes(tensors), _list_expected_shapes(header))
    return [
        MouseModel(
            model.architecture,
            header.mouse,
            select_by_prefix(f"{index}.", tensors),
            tensors[_IDS_KEY],
            model.source,
            model.sha256,
        )
        for index, model in enumerate(header.models)
    ]


def require_one_mouse(models: Sequence[MouseModel]) -> None:
    """Raise CheckpointError unless models predict the same neurons of one mouse."""
    if not models:
        raise CheckpointError("no checkpoint is given; name one or several")
    first = models[0]
    for other in models[1:]:
        if other.mouse != first.mouse or not torch.equal(
            other.neuron_ids, first.neuron_ids
        ):
            raise CheckpointError(
                f"{first.source} predicts {first.mouse.n_neurons} neurons of mouse "
                f"{first.mouse}, but {other.source} predicts {other.mouse.n_neurons} "
                f"of mouse {other.mouse} or has other ids; give models of the same "
                "neurons"
            )


def _write_converted_file(
    models: Sequence[MouseModel], neuron_ids: Tensor, out: Path
) -> None:
    tensors = {
        f"{index}.{key}": value
        for index, model in enumerate(models)
        for key, value in model.weights.items()
    }
    tensors[_IDS_KEY] = neuron_ids
    model_headers = [
        _ModelHeader(model.architecture, model.source, model.sha256) for model in models
    ]
    header = _Header(_FORMAT_VERSION, "DwiseNeuro", models[0].mouse, model_headers)
    metadata = {_HEADER_KEY: msgspec.json.encode(header).decode()}
    try:
        write_tensors(out, tensors, metadata)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint {out} cannot be written: {error}") from None


def _validate_ids(ids: Array, mouse: Mouse) -> Tensor:
    """Return ids as they are stored; raise unless each neuron has its own."""
    if ids.shape != (mouse.n_neurons,) or ids.dtype.kind not in "iu":
        raise CheckpointError(
            f"mouse {mouse} has {mouse.n_neurons} neurons, but their ids are "
            f"{ids.dtype} of shape {ids.shape}; give as many whole numbers"
        )
    if len(np.unique(ids)) < len(ids):
        raise CheckpointError("neurons share an id; give each its own")
    return torch.from_numpy(ids.astype(np.int64))


def _list_expected_shapes(header: _Header) -> Shapes:
    shapes: Shapes = {_IDS_KEY: (header.mouse.n_neurons,)}
    for index, model in enumerate(header.models):
        for key, shape in list_network_shapes(
            model.architecture, [header.mouse]
        ).items():
            shapes[f"{index}.{key}"] = shape
    return shapes


def is_dwiseneuro_file(path: Path) -> bool:
    """Whether a file is a DwiseNeuro, as its authors saved it or converted.

    A file that does not exist or cannot be read is none.
    """
    if path.suffix != CONVERTED_SUFFIX or not path.is_file():
        return path.is_file()
    try:
        with safe_open(path, framework="numpy") as file:
            return "rtrecon" not in (file.metadata() or {})
    except SafetensorError:
        return False
