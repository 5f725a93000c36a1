"""What a checkpoint says of its neurons: readable without torch, as the front does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet

FORMAT = 1
LIVE_UNITS = "dF/F per frame"  # of activity as the front deconvolves it
RATE_UNITS = "spikes per bin"  # where spikes come in place of images
MASK_KEYS = ("ids", "indptr", "rows", "cols", "weights", "planes")


class CheckpointError(UserError):
    """A checkpoint that cannot be used; its text says which and why."""


@dataclass(frozen=True)
class Card:
    """The neurons that a checkpoint was trained on, in their order, and how.

    mean_image: (planes, lines, pixels) float32, the field that the masks lie on.
    meta: training command, score, rates and acquisition settings; JSON throughout.
    """

    path: Path
    rois: RoiSet
    mean_image: Array
    meta: dict[str, Any]

    @property
    def units(self) -> str:
        """What activity was measured in when it was trained."""
        return str(self.meta.get("units", LIVE_UNITS))


def find(name: str) -> Path:
    """Return the path of a checkpoint; 'demo' is the one shipped with the package."""
    if name != "demo":
        return Path(name)
    return Path(str(resources.files("rtrecon.encoder") / "demo.safetensors"))


def read_card(path: Path) -> Card:
    """Read the numpy part of a checkpoint; raises `CheckpointError`."""
    if not path.is_file():
        raise CheckpointError(
            f"checkpoint {path} does not exist; train one with `rtrecon train`"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            meta = _meta(path, file.metadata() or {})
            masks = [file.get_tensor(f"masks.{key}") for key in MASK_KEYS]
            mean_image = file.get_tensor("mean_image").astype(np.float32)
    except SafetensorError as error:
        raise CheckpointError(
            f"checkpoint {path} is not one of ours ({error}); "
            "published checkpoints have to be converted first"
        ) from None
    if not _fit_together(masks, mean_image):
        raise CheckpointError(
            f"checkpoint {path} is damaged: its masks and its mean image do not fit "
            "together; copy or train it anew"
        )
    ids, indptr, rows, cols, weights, planes = masks
    shape = mean_image.shape[1], mean_image.shape[2]
    rois = RoiSet(ids, shape, indptr, rows, cols, weights, planes)
    return Card(path, rois, mean_image, meta)


def require_same_neurons(card: Card, rois: RoiSet) -> None:
    """Refuse masks whose ids are not the checkpoint's, in its order."""
    if len(rois) != len(card.rois):
        raise CheckpointError(
            f"checkpoint {card.path} knows {len(card.rois)} neurons, "
            f"but the masks are {len(rois)}; it was trained on another field"
        )
    differ = np.flatnonzero(rois.ids != card.rois.ids)
    if len(differ):
        first = int(differ[0])
        raise CheckpointError(
            f"checkpoint {card.path} expects neuron {card.rois.ids[first]} in place "
            f"{first}, but the masks have {rois.ids[first]}; use the masks that it was "
            "trained with, in their order"
        )


def make_room(path: Path) -> None:
    """Make the folder of a checkpoint to come; `CheckpointError` if it cannot be."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give a file to write instead")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be written: {error}") from None


def _fit_together(masks: list[Array], mean_image: Array) -> bool:
    """Tell whether kernels can trust the masks, for those look at no bounds."""
    ids, indptr, rows, cols, weights, planes = masks
    if mean_image.ndim != 3 or any(mask.ndim != 1 for mask in masks):
        return False
    if len(planes) != len(ids) or not _within(planes, mean_image.shape[0]):
        return False
    if not len(rows) == len(cols) == len(weights):
        return False
    whole = len(indptr) == len(ids) + 1 and not indptr[0] and indptr[-1] == len(rows)
    inside = all(
        _within(places, side)
        for places, side in zip((rows, cols), mean_image.shape[1:], strict=True)
    )
    return bool(whole and inside and (np.diff(indptr) >= 0).all())


def _within(places: Array, side: int) -> bool:
    return bool(((places >= 0) & (places < side)).all())


def _meta(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        meta = json.loads(metadata["rtrecon"])
        found = int(meta["format"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"checkpoint {path} has no rtrecon header; it was not made by rtrecon train"
        ) from None
    if found != FORMAT:
        raise CheckpointError(
            f"checkpoint {path} has format {found}, this version reads {FORMAT}; "
            "train it anew or use the version that made it"
        )
    return dict(meta)
