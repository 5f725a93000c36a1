"""Stimulus frames as senders give them, made frames of the encoder's stimulus space.

Pictures of any size are reduced to its pixels by area averaging; frames of other senses
must have its axes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

from rtrecon.core.types import Array
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO


def resize_stimulus(image: Array, shape: tuple[int, int] = VIDEO.shape) -> Array:
    """Return uint8 `shape`: each pixel is the mean of the area it covers in `image`.

    image: uint8 (height, width) of any size; it is stretched to the shape if its aspect
    ratio differs.
    """
    rows = _compute_area_weights(image.shape[0], shape[0])
    columns = _compute_area_weights(image.shape[1], shape[1])
    mean: Array = (columns @ (rows @ image.astype(np.float32)).T).T
    return np.rint(mean).astype(np.uint8)


def find_misfit(name: str, frame: Array, space: StimulusSpace) -> str | None:
    """Return why a frame of the space `name` cannot be one of `space`; None if it can.

    frame: uint8 levels, or float32 of the space's quantity.
    """
    if name != space.name:
        return (
            f"a stimulus message is of the space '{name}', but the encoder was trained "
            f"on {space.describe()}; send that, or use an encoder of '{name}'"
        )
    if not space.is_picture and frame.shape != space.shape:
        return (
            f"a stimulus message has the shape {list(frame.shape)}, but a frame of "
            f"{space.describe()} has {list(space.shape)}; send one value for each"
        )
    if frame.dtype != np.uint8 and not np.isfinite(frame).all():
        return "a stimulus message has a value that is not finite; leave the frame out"
    return None


def fit_stimulus(frame: Array, space: StimulusSpace) -> Array:
    """Return uint8 levels of the space's shape; frame: without a misfit."""
    levels = frame if frame.dtype == np.uint8 else space.to_levels(frame)
    return resize_stimulus(levels, space.shape) if space.is_picture else levels


@lru_cache(maxsize=8)
def _compute_area_weights(n_in: int, n_out: int) -> csr_array:
    """Return (n_out, n_in): the share of each input pixel in each output pixel.

    Sparse, because most weights are zero, and because a sparse product runs in one
    thread: the threads of a dense product wait for each other where the cores are busy,
    which takes 20 ms instead of 0.3 ms.
    """
    edges_in: Array = np.arange(n_in + 1) / n_in
    edges_out: Array = np.arange(n_out + 1) / n_out
    low = np.maximum(edges_out[:-1, None], edges_in[None, :-1])
    high = np.minimum(edges_out[1:, None], edges_in[None, 1:])
    weights: Array = np.clip(high - low, 0.0, None) * n_out
    return csr_array(weights.astype(np.float32))
