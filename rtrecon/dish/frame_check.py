"""Checks a picture before it is traced: focus, light, saturation, bubbles.

Each check compares with the usual value of the last accepted pictures.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from rtrecon.core.types import Array
from rtrecon.dish.image_filters import average_blocks, smooth

_N_STORED, _MIN_STORED = 15, 3
_MIN_SHARPNESS, _MIN_RANGE = 0.75, 0.15  # of the usual value
_FULL_COUNTS = (255.0, 4095.0, 16383.0, 65280.0, 65535.0)  # of usual cameras, films
_MAX_SATURATED = 0.2  # share of the pixels
_MAX_SHADED, _SHADED = 0.15, 0.35  # share of the field, log of the brightness
# The background of a block of 4 x 4 parts of 8 px; neurons cover less than 70 % of it.
_BLOCK_PX, _BLOCK_PARTS, _BLOCK_PERCENTILE = 8, 4, 30
# Percentiles; sigmas of noise; ratio of bright to dark. Fluorescence: 9.7 to 20 in
# simulations, 13 on a real film; bright field: 0.6 to 2 on real pictures.
_EXTREMES, _MIN_DARK, _MIN_CONTRAST = (0.2, 99.8), 3.0, 4.0
_LEVELS = (1, 50, 99.9)


class PictureDefect(StrEnum):
    """Why a picture is not traced; each is a sentence for the user."""

    NONE = ""
    CONSTANT = "the picture is constant: is the shutter closed, or the lamp off?"
    DARK = "the picture is much darker than usual: is the shutter closed?"
    SATURATED = "the picture is saturated: reduce exposure or gain"
    OUT_OF_FOCUS = "the picture is out of focus: refocus the microscope"
    TRANSMITTED_LIGHT = (
        "the picture looks like phase contrast or bright field, where objects are dark "
        "as well as bright: only fluorescence can be traced; choose the channel of a "
        "fluorescent label"
    )
    SHADED = "part of the field is shaded: is there a bubble or dust?"


class FrameCheck:
    """Remembers what pictures of this film usually look like."""

    def __init__(self) -> None:
        self._sharpness: list[float] = []
        self._ranges: list[float] = []
        self._background: Array | None = None

    def find_defect(self, image: Array) -> PictureDefect:
        """Return what is wrong with a picture, uint8 or uint16 (lines, pixels)."""
        sample = image[::2, ::2]
        low, median, high = (float(v) for v in np.percentile(sample, _LEVELS))
        if high <= low:
            is_full = low in _FULL_COUNTS
            return PictureDefect.SATURATED if is_full else PictureDefect.CONSTANT
        if _is_saturated(sample):
            return PictureDefect.SATURATED
        sharpness = _measure_sharpness(image, high - median)
        if self._is_below_usual(high - low, self._ranges, _MIN_RANGE):
            return PictureDefect.DARK
        if self._is_below_usual(sharpness, self._sharpness, _MIN_SHARPNESS):
            return PictureDefect.OUT_OF_FOCUS
        background = _measure_background(image)
        if self._is_shaded(background):
            return PictureDefect.SHADED
        self._remember(sharpness, high - low, background)
        return PictureDefect.NONE

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        background = np.zeros((0, 0)) if self._background is None else self._background
        return {
            "sharpness": np.array(self._sharpness),
            "ranges": np.array(self._ranges),
            "background": background,
        }

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        self._sharpness = state["sharpness"].tolist()
        self._ranges = state["ranges"].tolist()
        background = state["background"]
        self._background = background if background.size else None

    def _is_below_usual(self, value: float, stored: list[float], share: float) -> bool:
        return len(stored) >= _MIN_STORED and value < share * float(np.median(stored))

    def _is_shaded(self, background: Array) -> bool:
        if self._background is None or len(self._ranges) < _MIN_STORED:
            return False
        if background.shape != self._background.shape:
            return False
        return bool(
            (np.abs(background - self._background) > _SHADED).mean() > _MAX_SHADED
        )

    def _remember(self, sharpness: float, spread: float, background: Array) -> None:
        for stored, value in ((self._sharpness, sharpness), (self._ranges, spread)):
            stored.append(value)
            del stored[:-_N_STORED]
        if self._background is None or background.shape != self._background.shape:
            self._background = background
        self._background = self._background + 0.2 * (background - self._background)


def shows_transmitted_light(flat: Array) -> bool:
    """Return whether a flattened picture is no fluorescence.

    Labelled cells are bright on a dark ground. Phase contrast and bright field show
    dark parts that are about as strong as the bright ones.
    """
    half = smooth(average_blocks(flat, 2), 0.7)
    darkest, brightest = (float(v) for v in np.percentile(half, _EXTREMES))
    return -darkest > _MIN_DARK and brightest < _MIN_CONTRAST * -darkest


def _is_saturated(sample: Array) -> bool:
    """Return whether many pixels have the same, largest value."""
    return bool((sample == sample.max()).mean() > _MAX_SATURATED)


def _measure_sharpness(image: Array, spread: float) -> float:
    """Return the steepness of the steepest edges, relative to the brightness."""
    half = average_blocks(image, 2)
    steps = np.abs(half[2:, 1:-1] - half[:-2, 1:-1])
    steps += np.abs(half[1:-1, 2:] - half[1:-1, :-2])
    return float(np.percentile(steps, 99.9) / max(spread, 1e-9))


def _measure_background(image: Array) -> Array:
    """Return the log of brightness of blocks relative to the median of all."""
    parts = average_blocks(image, _BLOCK_PX)
    n_rows, n_cols = (side // _BLOCK_PARTS for side in parts.shape)
    parts = parts[: n_rows * _BLOCK_PARTS, : n_cols * _BLOCK_PARTS]
    parts = parts.reshape(n_rows, _BLOCK_PARTS, n_cols, _BLOCK_PARTS)
    blocks = np.percentile(parts, _BLOCK_PERCENTILE, axis=(1, 3))
    blocks -= 0.5 * blocks.min()
    return np.asarray(np.log(np.maximum(blocks, 1e-3) / max(np.median(blocks), 1e-3)))
