"""Pixels of other types as the two that travel, where nothing is lost by it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.messages import PIXEL_TYPES
from rtrecon.sources.recording import RecordingError


def pixel_type(dtype: Any, first: Array) -> Any:
    """Return int16 or uint16, whichever is to hold pixels of `dtype`.

    Where neither holds all of its values, the `first` image decides; whether later ones
    fit in, `as_pixels` finds. Raises `RecordingError` for what is no number.
    """
    native = np.dtype(dtype).newbyteorder("=")
    if native.name in PIXEL_TYPES:
        return native
    if native.kind not in "buif":
        raise RecordingError(
            f"its pixels are {native}; {' or '.join(PIXEL_TYPES)} can be, and other "
            "numbers whose values are whole and in that range"
        )
    is_high = native.kind in "bu" or bool((first > np.iinfo(np.int16).max).any())
    return np.dtype(np.uint16 if is_high else np.int16)


def as_pixels(image: Array, dtype: Any, name: str) -> Array:
    """Return the image as `dtype`, C-contiguous; `name` is what to call it.

    Raises `RecordingError` for fractions and for values out of range.
    """
    if image.dtype == dtype:
        return np.ascontiguousarray(image)
    with np.errstate(invalid="ignore"):  # NaN and infinity are found below
        converted = image.astype(dtype, order="C")
    if image.dtype.itemsize > 1 and not np.array_equal(converted, image):
        wrong = image[converted != image].flat[0]
        raise RecordingError(
            f"{name} holds the {image.dtype} value {wrong:g}, which {dtype} cannot "
            "hold; save whole numbers of that range"
        )
    return converted
