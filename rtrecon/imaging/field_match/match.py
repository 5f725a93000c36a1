"""Yesterday's field: where do the neurons of a stored image lie today?

Today's template is matched with the image that the masks were drawn on; the masks are
moved along, and each neuron is judged by whether it still looks the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from rtrecon.config import FieldSettings
from rtrecon.core.types import Array
from rtrecon.imaging.field_match.affine_search import (
    corners,
    find_map,
    inverse,
    local_contrast,
    warp,
)
from rtrecon.rois.roi_set import RoiSet, from_pixels

SMALLEST_SIDE_PX = 32
# Measured in simulation: fields that are not the same, 64 to 256 px wide, reach 0.6 to
# 1.8 times chance (72 pairs); the same field reaches 2.7 to 6 times chance on 128 px, 5
# to 14 on 256. On 64 px, with 15 neurons, it reaches 1.5 to 4: the smallest may be told
# to be another, but never the other way round.
_ABOVE_CHANCE = 2.0
# Less is reached in a mirror by chance, in small fields.
_MIRRORED = 0.5
# Window of a neuron's likeness, in its radii: wider ones see its neighbours, and find
# a neuron that is gone; narrower ones leave more to chance.
_WINDOW = 0.6
# Of places that have nothing to do with each other, this many look less alike.
_CHANCE_PERCENT = 95
# A moved mask keeps the pixels that it covers by at least so much.
_COVERED = 0.5


@dataclass(frozen=True)
class FieldMatch:
    """The map from the stored image to today's, and how well they then fit.

    matrix: (2, 3) float64; matrix @ (row, col, 1) is where a pixel of the stored image,
    which has `stored_shape`, lies in today's, of `shape`. correlation: of local
    contrast where they overlap. by_chance: what the same search finds for the stored
    image in a mirror, which is nobody's field but has all else in common with it.
    """

    matrix: Array
    correlation: float
    by_chance: float
    stored_shape: tuple[int, int]
    shape: tuple[int, int]

    @property
    def found(self) -> bool:
        """Whether the images fit better than images of different fields do."""
        return self.correlation > _ABOVE_CHANCE * self.by_chance

    @property
    def mirrored(self) -> bool:
        """Whether they would fit if one of them was mirrored."""
        return self.by_chance > max(_MIRRORED, _ABOVE_CHANCE * self.correlation)

    @property
    def shift_px(self) -> tuple[float, float]:
        """(y, x): how far the middle of the stored image lies from today's middle."""
        middle = (np.array(self.stored_shape) - 1) / 2
        moved = self.matrix @ np.append(middle, 1) - (np.array(self.shape) - 1) / 2
        return float(moved[0]), float(moved[1])

    @property
    def rotation_deg(self) -> float:
        """Clockwise, as the images are seen with line 0 on top."""
        (a, b), (c, d) = self.matrix[:, :2]
        return float(np.rad2deg(np.arctan2(b - c, a + d)))

    @property
    def scale(self) -> float:
        """Above 1: what was stored looks larger today."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    @property
    def shear(self) -> float:
        """0 for a square that stays one; 0.01: longer by 1 % one way than the other."""
        longest, shortest = np.linalg.svd(self.matrix[:, :2], compute_uv=False)
        return float(longest / shortest - 1)


def align_field(today: Array, stored: Array, limits: FieldSettings) -> FieldMatch:
    """Match (lines, pixels) images of two days; raises ValueError for a blank one."""
    _require_image(today, "today's image")
    _require_image(stored, "the stored image")
    matrix, correlation = find_map(today, stored, limits)
    _, by_chance = find_map(today, stored[:, ::-1], limits)
    return FieldMatch(matrix, correlation, by_chance, stored.shape, today.shape)


def move_rois(rois: RoiSet, match: FieldMatch) -> RoiSet:
    """Return the masks as they lie in today's image; ids, order and planes stay.

    A mask more than half of whose weight lies outside is empty. Every pixel of today's
    is looked up in the stored mask, so that no hole opens between the moved ones.
    """
    pixels = [_moved(own, match) if len(own[0]) else own for own in rois.pixels()]
    return from_pixels(rois.ids, match.shape, pixels, rois.planes)


def visibility(moved: RoiSet, today: Array, stored: Array, match: FieldMatch) -> Array:
    """Return for each neuron 0..1: how alike it and its rim look on both days.

    0: no more than places that have nothing to do with each other; also for an empty
    mask. 1: the same but for brightness. (n,) float32; `moved` lies on today's image.
    """
    back = inverse(match.matrix)
    is_now, was = local_contrast(today), local_contrast(stored)
    sigma_px = max(1.5, _WINDOW * _typical_radius_px(moved))
    likeness, chance = (
        _likeness(is_now, warp(image, back, today.shape), sigma_px)
        for image in (was, was[:, ::-1])
    )
    usual = np.nanpercentile(chance, _CHANCE_PERCENT)
    above = np.clip((likeness - usual) / (1 - usual + 1e-6), 0, 1)
    seen = np.zeros(len(moved), np.float32)
    present = np.diff(moved.indptr) > 0
    rows, cols = np.rint(moved.centers()[present]).astype(int).T
    seen[present] = np.nan_to_num(above[rows, cols])
    return seen


def _require_image(image: Array, name: str) -> None:
    if image.ndim != 2 or min(image.shape) < SMALLEST_SIDE_PX:
        raise ValueError(
            f"cannot look for the stored field: {name} has shape {image.shape}, but "
            f"at least {SMALLEST_SIDE_PX} lines and pixels are needed"
        )
    if not np.isfinite(image).all() or image.min() == image.max():
        raise ValueError(
            f"cannot look for the stored field: {name} is constant or not finite"
        )


def _moved(
    own: tuple[Array, Array, Array], match: FieldMatch
) -> tuple[Array, Array, Array]:
    """Return one mask's (rows, cols, weights), moved; empty where mostly outside."""
    corner, weights, cover = _patch(own)
    first, shape, back = _frame(corner, weights.shape, match.matrix)
    weights, cover = (
        affine_transform(image, back[:, :2], back[:, 2], output_shape=shape, order=1)
        for image in (weights, cover)
    )
    # A mask of few pixels may cover none of today's by as much.
    rows, cols = np.nonzero(cover >= min(_COVERED, cover.max()))
    weights = weights[rows, cols]
    rows, cols = rows + first[0], cols + first[1]
    inside = (rows >= 0) & (rows < match.shape[0])
    inside &= (cols >= 0) & (cols < match.shape[1])
    if weights[inside].sum() <= weights.sum() / 2:
        inside[:] = False
    return rows[inside], cols[inside], weights[inside]


def _patch(own: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return a mask's top left corner, its weights as an image, and its pixels as one.

    A rim of a pixel is left free, so that the mask ends inside.
    """
    places = np.stack(own[:2])
    corner = places.min(1) - 1
    rows, cols = places - corner[:, None]
    weights = np.zeros((rows.max() + 2, cols.max() + 2), np.float32)
    weights[rows, cols] = own[2]
    cover = np.zeros_like(weights)
    cover[rows, cols] = 1
    return corner, weights, cover


def _frame(
    corner: Array, shape: tuple[int, ...], matrix: Array
) -> tuple[Array, tuple[int, int], Array]:
    """Where a patch of the stored image comes to lie in today's.

    Its first (row, col) there, its shape, and the map from it back to the patch.
    """
    ends = corners(shape) + np.append(corner, 0)[:, None]
    moved = matrix @ ends
    first = np.floor(moved.min(1)).astype(int)
    rows, cols = (np.ceil(moved.max(1)).astype(int) - first + 1).tolist()
    back = inverse(matrix)
    offset = back @ np.append(first, 1) - corner
    return first, (rows, cols), np.column_stack([back[:, :2], offset])


def _typical_radius_px(rois: RoiSet) -> float:
    """Return the radius of a disc as large as the median mask; 0 without masks."""
    sizes = np.diff(rois.indptr)
    return float(np.sqrt(np.median(sizes[sizes > 0]) / np.pi)) if sizes.any() else 0.0


def _likeness(one: Array, other: Array, sigma_px: float) -> Array:
    """Return the correlation of two images around each pixel, where `other` has one.

    Gaussian window; NaN where other is NaN.
    """
    seen = np.isfinite(other)
    one, other = np.where(seen, one, 0), np.where(seen, other, 0)
    images = (seen, one, other, one * one, other * other, one * other)
    share, *sums = (gaussian_filter(i.astype(np.float32), sigma_px) for i in images)
    a, b, aa, bb, ab = (total / (share + 1e-6) for total in sums)
    spread = np.sqrt(np.maximum((aa - a * a) * (bb - b * b), 1e-12))
    return np.where(seen, (ab - a * b) / spread, np.nan)
