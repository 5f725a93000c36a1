"""Tensors in safetensors files: atomic writing, and the checks that reading needs."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from rtrecon.core.files import open_atomically
from rtrecon.encoder.card import CheckpointError


def read_tensors(path: Path, unchecked: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Read all tensors of a file; raises CheckpointError where one is not finite.

    unchecked: keys that may hold NaN.
    """
    tensors: dict[str, Tensor] = load_file(path)
    require_finite(path, {k: v for k, v in tensors.items() if k not in unchecked})
    return tensors


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]
) -> None:
    """Write through a temporary file, so that a crash leaves the old one whole."""
    contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
    with open_atomically(path) as temporary:
        save_file(contiguous, temporary, metadata=metadata)


def require_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError if a tensor holds NaN or infinity."""
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            n_bad = int((~tensor.isfinite()).sum())
            raise CheckpointError(
                f"checkpoint {path} has weights that are not finite: {n_bad} of "
                f"{tensor.numel()} numbers of '{key}' are NaN or infinite; copy it "
                "again or train it anew"
            )


def select_by_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose keys begin with a prefix, without it."""
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits; raises CheckpointError."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from None
