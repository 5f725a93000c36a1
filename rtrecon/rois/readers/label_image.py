"""Label images: each pixel holds the id of the neuron it belongs to, or 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, from_pixels
from rtrecon.sources.npy import read_numbers


def load_label_image(path: Path, shape: tuple[int, int]) -> RoiSet:
    """Read a TIFF, PNG or .npy image of whole numbers on a field of `shape`.

    Ids are the labels, in rising order; pixels weigh the same. Raises UserError.
    """
    labels = _read(path)
    if labels.dtype.kind not in "iu":
        raise UserError(
            f"{path} holds {labels.dtype}; a label image holds whole numbers: 0, and "
            "one of its own for each neuron"
        )
    if labels.shape != shape:
        raise UserError(
            f"label image {path} is {' x '.join(map(str, labels.shape))}, the field "
            f"has {shape[0]} lines x {shape[1]} pixels; use the masks of this field"
        )
    if labels.min() < 0:
        raise UserError(f"{path} holds the label {labels.min()}; they begin at 1")
    order = np.argsort(labels, axis=None, kind="stable")
    ids, starts = np.unique(labels.flat[order], return_index=True)
    owned = dict(zip(ids.tolist(), np.split(order, starts[1:]), strict=True))
    owned.pop(0, None)  # what is no neuron's
    pixels = [
        (*np.divmod(places, shape[1]), np.ones(len(places), np.float32))
        for places in owned.values()
    ]
    return from_pixels(np.array(list(owned), np.int64), shape, pixels)


def _read(path: Path) -> Array:
    kind = path.suffix.lower()
    if kind == ".npy":
        return read_numbers(path)
    try:
        return _read_png(path) if kind == ".png" else tifffile.imread(path)
    except UserError:
        raise
    except Exception as error:  # decoders raise what they like
        raise UserError(f"{path} cannot be read as an image: {error}") from None


def _read_png(path: Path) -> Array:
    import av  # slow to import, and only needed here

    with av.open(str(path)) as file:
        image = next(file.decode(video=0))
    if image.format.name not in ("gray", "gray16be"):
        raise UserError(
            f"{path} holds {image.format.name} pixels; a label image is grey, with 8 "
            "or 16 bits"
        )
    return image.to_ndarray()
