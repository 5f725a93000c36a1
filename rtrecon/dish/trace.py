"""Traces neurites in one picture: lines that are one pixel wide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from rtrecon.core.types import Array
from rtrecon.dish.bridges import bridge_gaps
from rtrecon.dish.image_filters import dilate_square
from rtrecon.dish.line_filter import LineFilter
from rtrecon.dish.spurs import (
    EIGHT_NEIGHBORS,
    remove_short_pieces,
    remove_spurs,
    trim_ends,
)
from rtrecon.dish.thinning import BODY, NEURITE, thin_mask

_MAX_BRIGHTNESS = 14.0  # sigmas: the edge of a body must not ring in the filter
# Line strength, in sigmas, of a pixel that starts a neurite and of one that continues.
_HIGH, _LOW = 6.0, 3.2
_LOCAL_SHARE, _LOCAL_REACH_PX = 0.35, 5  # of the strongest pixel nearby
_BODY_SHARE = 0.04  # a neurite has this share of a body's light; clutter has less
_MIN_STRONG_PX, _MAX_SPUR_PX, _MIN_PIECE_PX = 20, 9, 10
_MAX_BRIDGE_PRICE = 14.0
_CONE_PX = 3  # of a free end, which the elongated filter and the growth cone add


@dataclass(frozen=True)
class Trace:
    """The lines of one picture, bool (lines, pixels), without bodies.

    lines: those that hang together with a body, bridges included. loose: the others.
    strength: float32, of the line filter, in sigmas of noise.
    """

    lines: Array
    loose: Array
    strength: Array


class NeuriteTracer:
    """Traces the neurites of flattened pictures."""

    def __init__(self, sensitivity: float) -> None:
        self._filter = LineFilter()
        self._high, self._low = _HIGH / sensitivity, _LOW / sensitivity
        self._body_share = _BODY_SHARE / sensitivity

    def trace(self, flat: Array, is_body: Array, body_brightness: float) -> Trace:
        """Return the neurites of a picture.

        flat: float32, of `flatten_image`; 0 outside of the field that counts. is_body:
        bool. body_brightness: of the median body, in sigmas; 0 if there is none.
        """
        clipped = np.minimum(flat, np.float32(_MAX_BRIGHTNESS))
        strength, scale = self._filter.measure_lines(clipped)
        floor = self._body_share * body_brightness * self._filter.line_gain * scale
        low, high = max(self._low, floor), max(self._high, 2 * floor)
        mask = _select_neurites(strength, is_body, low, high)
        lines = thin_mask(np.where(is_body, BODY, mask * NEURITE).astype(np.uint8))
        remove_spurs(lines, is_body, _MAX_SPUR_PX)
        remove_short_pieces(lines, is_body, _MIN_PIECE_PX)
        bridges = bridge_gaps(lines, is_body, strength, low, _MAX_BRIDGE_PRICE)
        lines |= bridges
        trim_ends(lines, is_body, _CONE_PX)
        is_rooted = _find_rooted(lines, is_body)
        return Trace(lines & is_rooted, lines & ~is_rooted, strength)


def _select_neurites(strength: Array, is_body: Array, low: float, high: float) -> Array:
    """Return bool: weak pixels that hang together with enough strong ones."""
    weakest = _LOCAL_SHARE * dilate_square(strength, _LOCAL_REACH_PX)
    np.maximum(weakest, low, out=weakest)
    mask = (strength > weakest) | is_body
    labels, n_parts = label(mask, EIGHT_NEIGHBORS)
    n_strong = np.bincount(labels[strength > high], minlength=n_parts + 1)
    has_body = np.zeros(n_parts + 1, bool)
    has_body[labels[is_body]] = True
    is_neurite = has_body | (n_strong > _MIN_STRONG_PX)
    is_neurite[0] = False
    return is_neurite[labels]


def _find_rooted(lines: Array, is_body: Array) -> Array:
    labels, n_pieces = label(lines | is_body, EIGHT_NEIGHBORS)
    has_body = np.zeros(n_pieces + 1, bool)
    has_body[labels[is_body]] = True
    has_body[0] = False
    return has_body[labels]
