"""Model cards: the part of a checkpoint that is readable without torch.

The daemon reads neurons, mean image and metadata of an encoder in this way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from rtrecon.core.errors import UserError
from rtrecon.core.file_kinds import describe_foreign_file
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet
from rtrecon.stimulus_space.space import StimulusSpace, read_space
from rtrecon.stimulus_space.video import VIDEO

FORMAT_VERSION = 1
DFF_UNITS = "dF/F per frame"  # of activity that the daemon deconvolves
RATE_UNITS = "spikes per bin"  # of sources that send spike counts in place of images
_SPACE_KEY = "stimulus_space"  # of metadata
SHIPPED_FILES = {  # of encoders of simulated neurons, by name
    "demo": "demo.safetensors",
    "demo-sound": "sound.safetensors",
    "demo-touch": "touch.safetensors",
}
MASK_KEYS = ("ids", "indptr", "rows", "cols", "weights", "planes")


class CheckpointError(UserError):
    """A checkpoint cannot be used; the text gives the file and the reason."""


@dataclass(frozen=True)
class Card:
    """Neurons that a checkpoint was trained on, in their order, and how it was trained.

    mean_image: (planes, lines, pixels) float32, of the field that the masks belong to.
    metadata: training command, score, rates and settings of the traces; plain JSON.
    space: the stimuli that the encoder predicts activity for.
    """

    path: Path
    rois: RoiSet
    mean_image: Array
    metadata: dict[str, Any]
    space: StimulusSpace = VIDEO

    @property
    def stored_metadata(self) -> dict[str, Any]:
        """Metadata as a checkpoint stores them: with format and stimulus space."""
        space = {_SPACE_KEY: self.space.to_metadata()}
        return {**self.metadata, "format": FORMAT_VERSION, **space}

    @property
    def units(self) -> str:
        """Unit of the activity that the encoder was trained on."""
        return str(self.metadata.get("units", DFF_UNITS))


def find_checkpoint(name_or_path: str | Path) -> Path:
    """Return the path of a checkpoint; `SHIPPED_FILES` come with the package."""
    file = SHIPPED_FILES.get(str(name_or_path))
    if file is None:
        return Path(name_or_path)
    return Path(str(resources.files("rtrecon.encoder") / file))


def read_card(path: Path) -> Card:
    """Read the part of a checkpoint that needs no torch; raises `CheckpointError`."""
    if not path.is_file():
        raise CheckpointError(
            f"checkpoint {path} does not exist; train one with `rtrecon train`"
        )
    if problem := describe_foreign_file(path):
        raise CheckpointError(f"checkpoint {path} {problem}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = _parse_metadata(path, file.metadata() or {})
            masks = [file.get_tensor(f"masks.{key}") for key in MASK_KEYS]
            mean_image = file.get_tensor("mean_image").astype(np.float32)
    except SafetensorError as error:
        raise CheckpointError(
            f"checkpoint {path} is not one of rtrecon ({error}); convert a published "
            "one with `rtrecon convert` first"
        ) from None
    if not _are_masks_valid(masks, mean_image):
        raise CheckpointError(
            f"checkpoint {path} is damaged: its masks do not fit its mean image; copy "
            "it again or train it anew"
        )
    ids, indptr, rows, cols, weights, planes = masks
    shape = mean_image.shape[1], mean_image.shape[2]
    rois = RoiSet(ids, shape, indptr, rows, cols, weights, planes)
    return Card(path, rois, mean_image, metadata, _read_space(path, metadata))


def require_same_neurons(card: Card, rois: RoiSet) -> None:
    """Raise CheckpointError unless masks have the checkpoint's ids in its order."""
    if len(rois) != len(card.rois):
        raise CheckpointError(
            f"checkpoint {card.path} was trained on {len(card.rois)} neurons, but "
            f"there are {len(rois)} masks; use the masks of its field"
        )
    different = np.flatnonzero(rois.ids != card.rois.ids)
    if len(different):
        first = int(different[0])
        raise CheckpointError(
            f"checkpoint {card.path} expects neuron {card.rois.ids[first]} at index "
            f"{first}, but the masks have {rois.ids[first]}; use the masks that it was "
            "trained with, in their order"
        )


def read_stimulus_space(checkpoint: str | Path) -> StimulusSpace:
    """Return the stimuli of a checkpoint, by name or path."""
    return read_card(find_checkpoint(checkpoint)).space


def prepare_output_path(path: Path) -> None:
    """Make the folder of a file to write; CheckpointError where it is impossible."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give a file to write instead")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be written: {error}") from None


def _are_masks_valid(masks: list[Array], mean_image: Array) -> bool:
    """Whether masks lie within the image; compiled kernels do not check bounds."""
    ids, indptr, rows, cols, weights, planes = masks
    if mean_image.ndim != 3 or any(mask.ndim != 1 for mask in masks):
        return False
    if len(planes) != len(ids) or not _are_indices_within(planes, mean_image.shape[0]):
        return False
    if not len(rows) == len(cols) == len(weights):
        return False
    is_complete = (
        len(indptr) == len(ids) + 1 and not indptr[0] and indptr[-1] == len(rows)
    )
    is_inside = all(
        _are_indices_within(indices, length)
        for indices, length in zip((rows, cols), mean_image.shape[1:], strict=True)
    )
    return bool(is_complete and is_inside and (np.diff(indptr) >= 0).all())


def _are_indices_within(indices: Array, length: int) -> bool:
    return bool(((indices >= 0) & (indices < length)).all())


def _read_space(path: Path, metadata: dict[str, Any]) -> StimulusSpace:
    try:
        return read_space(metadata.get(_SPACE_KEY), f"checkpoint {path}")
    except UserError as error:
        raise CheckpointError(str(error)) from None


def _parse_metadata(path: Path, header: dict[str, str]) -> dict[str, Any]:
    try:
        metadata = json.loads(header["rtrecon"])
        format_version = int(metadata["format"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"checkpoint {path} has no rtrecon header; give a file that `rtrecon "
            "train` wrote"
        ) from None
    if format_version != FORMAT_VERSION:
        raise CheckpointError(
            f"checkpoint {path} has format {format_version}, this version reads "
            f"{FORMAT_VERSION}; train it anew or use the version that made it"
        )
    return dict(metadata)
