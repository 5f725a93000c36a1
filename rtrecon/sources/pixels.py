"""Converts pixels of any number type to int16 or uint16, if no value changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.messages import PIXEL_DTYPES
from rtrecon.sources.recording import RecordingError


def choose_pixel_type(dtype: Any, first_image: Array) -> Any:
    """Return int16 or uint16, whichever can hold pixels of `dtype`.

    If neither holds all values of `dtype`, the first image decides, and
    `convert_pixels` finds later values that do not fit. Raises `RecordingError` if the
    pixels are not numbers.
    """
    native = np.dtype(dtype).newbyteorder("=")
    if native.name in PIXEL_DTYPES:
        return native
    if native.kind not in "buif":
        raise RecordingError(
            f"its pixels are {native}; {' or '.join(PIXEL_DTYPES)} can be read, and "
            "other numbers if they are whole and in that range"
        )
    is_high = bool((first_image > np.iinfo(np.int16).max).any())
    is_unsigned = native.kind in "bu"
    return np.dtype(np.uint16 if is_unsigned or is_high else np.int16)


def convert_pixels(image: Array, dtype: Any, name: str) -> Array:
    """Return the image as `dtype`, C-contiguous; `name` is its name in errors.

    Raises `RecordingError` for fractions and for values out of range.
    """
    if image.dtype == dtype:
        return np.ascontiguousarray(image)
    with np.errstate(invalid="ignore"):  # NaN and infinity are found below
        converted = image.astype(dtype, order="C")
    if image.dtype.itemsize > 1 and not np.array_equal(converted, image):
        value = image[converted != image].flat[0]
        raise RecordingError(
            f"{name} holds the {image.dtype} value {value:g}, which {dtype} cannot "
            "hold; save whole numbers of that range"
        )
    return converted
