"""Files of the published encoder, as its authors saved them.

Such a file is a pickle, so it is opened for weights and plain values alone: nothing in
it is run. It holds the readouts of all mice, of which one is kept.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from rtrecon.encoder.card import CheckpointError
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse, answered_for, choose
from rtrecon.encoder.dwiseneuro.network import Architecture, Count, DwiseNeuro

_NAMED = 3  # keys that a sentence names before it counts the others

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Model:
    """One trained network with the readout of one mouse.

    weights: by published key, on the CPU. neuron_ids: (n,) int64; in a published file
    places in the recording, for it has no other. source, sha256: name and hash of the
    file that its authors saved.
    """

    sizes: Architecture
    mouse: Mouse
    weights: dict[str, Tensor]
    neuron_ids: Tensor
    source: str
    sha256: str


class _Made(msgspec.Struct):
    """What the network was made with: a name, and options by name."""

    nn_module: tuple[str, dict[str, Any]]


class _Saved(msgspec.Struct):
    """The published layout, as far as inference needs it."""

    params: _Made
    nn_state_dict: dict[str, Tensor]


def read_published(path: Path, mouse: str | int | None = None) -> Model:
    """Read one mouse's part of a published file; raises `CheckpointError`.

    mouse: index or name, see `mice`; None where the file has only one.
    """
    opened = _opened(path)
    try:
        saved = msgspec.convert(opened, _Saved)
        options = saved.params.nn_module[1]
        sizes = msgspec.convert(options, Architecture)
        outputs = msgspec.convert(options.get("readout_outputs"), tuple[Count, ...])
        mice = answered_for(outputs)
        expected = network_shapes(sizes, mice)
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(
            f"checkpoint {path} is not in the published layout of DwiseNeuro: {error}; "
            "is it the right file?"
        ) from None
    weights = saved.nn_state_dict
    require_shapes(path, shapes_of(weights), expected)
    chosen = choose(path, mice, mouse)
    kept = network_shapes(sizes, [chosen])
    mine = {key: _own(weights[key]) for key in kept}
    places = torch.arange(chosen.n_neurons)
    return Model(sizes, chosen, mine, places, path.name, _sha256(path))


def network_shapes(sizes: Architecture, mice: Sequence[Mouse]) -> Shapes:
    """Return the shape of every tensor of a network, by key."""
    with torch.device("meta"):
        network = DwiseNeuro(sizes, {mouse.index: mouse.n_neurons for mouse in mice})
    return shapes_of(network.state_dict())


def shapes_of(tensors: dict[str, Tensor]) -> Shapes:
    """Return the shape of every tensor, by key."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def require_shapes(path: Path, found: Shapes, expected: Shapes) -> None:
    """Refuse a file whose tensors are not those expected, and name the first few."""
    faults = {
        "it lacks": [
            f"'{key}' {expected[key]}" for key in expected if key not in found
        ],
        "it has beyond that": [
            f"'{key}' {found[key]}" for key in found if key not in expected
        ],
        "misshapen are": [
            f"'{key}' with {found[key]} in place of {expected[key]}"
            for key in expected
            if found.get(key, expected[key]) != expected[key]
        ],
    }
    told = [f"{what} {_first(keys)}" for what, keys in faults.items() if keys]
    if told:
        raise CheckpointError(
            f"checkpoint {path} does not hold the network that it says it does: "
            f"{'; '.join(told)}. Fetch or convert it anew"
        )


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist; check its path")
    mapped = zipfile.is_zipfile(path)  # other mice's readouts then stay on disk
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles; what matters is refused
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"checkpoint {path} holds more than weights and plain values, or is "
            "damaged; it was not opened, for what it holds could be a program. Fetch "
            "it anew, or have its author save weights and plain values only"
        ) from None
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise CheckpointError(
            f"checkpoint {path} cannot be read as a file of torch.save "
            f"({type(error).__name__}); it may be damaged or something else: fetch it "
            "anew"
        ) from None


def _own(tensor: Tensor) -> Tensor:
    """Return it in memory of its own, out of the mapped file."""
    return tensor.clone(memory_format=torch.contiguous_format)


def _first(keys: list[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
