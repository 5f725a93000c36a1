"""Files of the published encoder DwiseNeuro, as its authors saved them.

Such a file is a pickle. It is opened for weights and plain values only, so that no code
in it is run. It holds the readouts of all mice; one of them is read.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from rtrecon.core.file_kinds import describe_foreign_file
from rtrecon.encoder.card import CheckpointError
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse, choose_mouse, identify_mice
from rtrecon.encoder.dwiseneuro.network import Architecture, DwiseNeuro, PositiveInt
from rtrecon.encoder.tensor_files import hash_file, require_finite

_PARALLEL_PREFIX = "module."
_MAX_NAMED_KEYS = 3  # an error names so many keys and counts the others

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class MouseModel:
    """One trained network with the readout of one mouse.

    weights: by published key, on the CPU. neuron_ids: (n,) int64; indices in the
    recording where the file has no ids. source, sha256: name and hash of the file that
    the authors saved.
    """

    architecture: Architecture
    mouse: Mouse
    weights: dict[str, Tensor]
    neuron_ids: Tensor
    source: str
    sha256: str


class _SavedParams(msgspec.Struct):
    """Arguments that the network was made with: its name, and options by name."""

    nn_module: tuple[str, dict[str, Any]]


class _SavedFile(msgspec.Struct):
    """The part of the published layout that inference needs."""

    params: _SavedParams
    nn_state_dict: dict[str, Tensor]


def read_author_file(path: Path, mouse: str | int | None = None) -> MouseModel:
    """Read one mouse's part of a published file; raises `CheckpointError`.

    mouse: index or name, see `choose_mouse`; None where the file has only one.
    """
    content = _open_author_file(path)
    if _is_state_dict(content):
        raise CheckpointError(
            f"checkpoint {path} holds weights only, without the options ('params') of "
            "their network; give the whole file that the authors published"
        )
    try:
        saved = msgspec.convert(content, _SavedFile)
        options = saved.params.nn_module[1]
        architecture = msgspec.convert(options, Architecture)
        outputs = msgspec.convert(
            options.get("readout_outputs"), tuple[PositiveInt, ...]
        )
        mice = identify_mice(outputs)
        expected = list_network_shapes(architecture, mice)
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(
            f"checkpoint {path} is not in the published layout of DwiseNeuro: {error}; "
            "is it the right file?"
        ) from None
    weights = _strip_parallel_prefix(saved.nn_state_dict)
    require_shapes(path, list_tensor_shapes(weights), expected)
    chosen = choose_mouse(path, mice, mouse)
    required = list_network_shapes(architecture, [chosen])
    selected = {key: _copy_tensor(weights[key]) for key in required}
    require_finite(path, selected)
    indices = torch.arange(chosen.n_neurons)
    return MouseModel(
        architecture, chosen, selected, indices, path.name, hash_file(path)
    )


def list_network_shapes(architecture: Architecture, mice: Sequence[Mouse]) -> Shapes:
    """Return the shape of every tensor of a network, by key."""
    with torch.device("meta"):
        network = DwiseNeuro(
            architecture, {mouse.index: mouse.n_neurons for mouse in mice}
        )
    return list_tensor_shapes(network.state_dict())


def list_tensor_shapes(tensors: dict[str, Tensor]) -> Shapes:
    """Return the shape of every tensor, by key."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def require_shapes(path: Path, found: Shapes, expected: Shapes) -> None:
    """Raise CheckpointError naming the first tensors that are not as expected."""
    faults = {
        "it lacks": [
            f"'{key}' {expected[key]}" for key in expected if key not in found
        ],
        "it also has": [
            f"'{key}' {found[key]}" for key in found if key not in expected
        ],
        "of another shape are": [
            f"'{key}' with {found[key]} in place of {expected[key]}"
            for key in expected
            if found.get(key, expected[key]) != expected[key]
        ],
    }
    problems = [
        f"{label} {_summarize_keys(keys)}" for label, keys in faults.items() if keys
    ]
    if problems:
        raise CheckpointError(
            f"checkpoint {path} does not hold the network that its header describes: "
            f"{'; '.join(problems)}. Download or convert it again"
        )


def _open_author_file(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist; check its path")
    if problem := describe_foreign_file(path):
        raise CheckpointError(f"checkpoint {path} {problem}")
    is_zip = zipfile.is_zipfile(path)  # other mice's readouts then stay on disk
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd pickles; errors are raised below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"checkpoint {path} holds more than weights and plain values (a whole "
            "model?), or is damaged; it was not opened, because it could contain a "
            "program. Download it again, or save {'params': ..., 'nn_state_dict': "
            "model.state_dict()} in place of the model"
        ) from None
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise CheckpointError(
            f"checkpoint {path} cannot be read as a file of torch.save "
            f"({type(error).__name__}); it may be damaged or another kind of file: "
            "download it again"
        ) from None


def _is_state_dict(content: Any) -> bool:
    is_filled = isinstance(content, dict) and bool(content)
    return is_filled and all(isinstance(value, Tensor) for value in content.values())


def _strip_parallel_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the network's own keys.

    torch.nn.DataParallel saves them under 'module.', and so does its successor.
    """
    if not all(key.startswith(_PARALLEL_PREFIX) for key in weights):
        return weights
    return {key.removeprefix(_PARALLEL_PREFIX): weights[key] for key in weights}


def _copy_tensor(tensor: Tensor) -> Tensor:
    """Return a copy in memory, independent of the mapped file; half becomes float32."""
    copy = tensor.clone(memory_format=torch.contiguous_format)
    return copy.float() if copy.is_floating_point() else copy


def _summarize_keys(keys: list[str]) -> str:
    n_more = len(keys) - _MAX_NAMED_KEYS
    return ", ".join(keys[:_MAX_NAMED_KEYS]) + (
        f" and {n_more} more" if n_more > 0 else ""
    )
