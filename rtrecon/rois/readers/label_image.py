"""Reader for label images: each pixel holds the id of its neuron, or 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, build_roi_set
from rtrecon.sources.npy import read_numbers
from rtrecon.sources.tiff_file import explain_decoding_error


def load_label_image(
    path: Path, shape: tuple[int, int], only_cells: bool = True
) -> RoiSet:
    """Read a TIFF, PNG or .npy image of whole numbers on a field of `shape`.

    Ids are the labels, in ascending order; all pixels of a neuron weigh the same. Whole
    numbers stored as floats, as some programs write them, are read too.
    only_cells has no effect: every label is a cell. Raises UserError.
    """
    labels = _to_integers(_read_labels(path))
    if labels.dtype.kind not in "iu":
        raise UserError(
            f"{path} holds {labels.dtype}; a label image holds whole numbers: 0 for no "
            "neuron, and a different one for each neuron"
        )
    if labels.ndim != 2:
        raise UserError(
            f"label image {path} has {labels.ndim} axes, {list(labels.shape)}; save "
            "the labels of one plane as (lines, pixels)"
        )
    if labels.shape != shape:
        raise UserError(
            f"label image {path} is {' x '.join(map(str, labels.shape))}, the field "
            f"has {shape[0]} lines x {shape[1]} pixels; use the masks of this field"
        )
    if labels.min() < 0:
        raise UserError(
            f"{path} holds the label {labels.min()}; labels must be 1 or larger"
        )
    order = np.argsort(labels, axis=None, kind="stable")
    ids, starts = np.unique(labels.flat[order], return_index=True)
    indices = np.split(order, starts[1:])  # of the pixels of each label
    by_label = dict(zip(ids.tolist(), indices, strict=True))
    by_label.pop(0, None)  # 0 is no neuron
    pixels = [
        (*np.divmod(flat, shape[1]), np.ones(len(flat), np.float32))
        for flat in by_label.values()
    ]
    return build_roi_set(np.array(list(by_label), np.int64), shape, pixels)


def find_shape(path: Path) -> tuple[int, int] | None:
    """Return the (lines, pixels) of the image; None if it has other axes."""
    shape = _read_labels(path).shape
    return (shape[0], shape[1]) if len(shape) == 2 else None


def _to_integers(labels: Array) -> Array:
    """Return floats that are all whole as int64, other labels unchanged."""
    if labels.dtype.kind != "f" or not np.isfinite(labels).all():
        return labels
    whole = labels.astype(np.int64)
    return whole if np.array_equal(whole, labels) else labels


def _read_labels(path: Path) -> Array:
    kind = path.suffix.lower()
    if kind == ".npy":
        return read_numbers(path)
    try:
        return _read_png(path) if kind == ".png" else tifffile.imread(path)
    except UserError:
        raise
    except Exception as error:  # decoders raise exceptions of many types
        raise UserError(
            f"{path} cannot be read as an image: {explain_decoding_error(error)}"
        ) from None


def _read_png(path: Path) -> Array:
    import av  # takes long to import, and only PNG files need it

    with av.open(str(path)) as file:
        image = next(file.decode(video=0))
    if image.format.name not in ("gray", "gray16be"):
        raise UserError(
            f"{path} holds {image.format.name} pixels; a label image is grey, with 8 "
            "or 16 bits"
        )
    return image.to_ndarray()
