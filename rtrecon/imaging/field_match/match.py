"""Where the neurons of a stored image lie in today's image, and which are visible.

Today's template is matched with the image on which the masks were drawn. The masks are
moved along, and each neuron is visible if its surroundings still look the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from rtrecon.config import FieldMatchSettings
from rtrecon.core.types import Array
from rtrecon.imaging.field_match.affine_search import (
    compute_local_contrast,
    corner_points,
    find_affine_map,
    invert_map,
    warp_image,
)
from rtrecon.rois.roi_set import RoiSet, build_roi_set

MIN_SIDE_PX = 32
# Measured in simulation: different fields, 64 to 256 px wide, reach 0.6 to 1.8 times
# chance (72 pairs). The same field reaches 2.7 to 6 times chance on 128 px, and 5 to 14
# on 256. On 64 px, with 15 neurons, it reaches 1.5 to 4: the smallest fields may be
# missed, but a different field is never accepted.
_MIN_CHANCE_RATIO = 2.0
# In small fields a mirrored image reaches less than this by chance.
_MIN_MIRROR_CORRELATION = 0.5
# Window of a neuron's similarity, in its radii. Wider windows include its neighbours,
# and find a neuron that is gone; narrower ones leave more to chance.
_WINDOW_RADII = 0.6
# Percentile of the similarity of unrelated places that counts as chance.
_CHANCE_PERCENT = 95
# A moved mask consists of the pixels that it covers by at least this fraction.
_MIN_COVER = 0.5
_EPSILON = 1e-6

_MaskPixels = tuple[Array, Array, Array]  # rows, cols, weights


@dataclass(frozen=True)
class FieldMatch:
    """The map from the stored image to today's, and how well they then fit.

    matrix: (2, 3) float64; matrix @ (row, col, 1) is where a pixel of the stored image,
    which has `stored_shape`, lies in today's, which has `shape`. correlation: of local
    contrast where they overlap. chance_correlation: what the same search finds for the
    mirrored stored image, which shows no real field but is alike in everything else.
    """

    matrix: Array
    correlation: float
    chance_correlation: float
    stored_shape: tuple[int, int]
    shape: tuple[int, int]

    @property
    def is_found(self) -> bool:
        """Whether the images fit better than images of different fields do."""
        return self.correlation > _MIN_CHANCE_RATIO * self.chance_correlation

    @property
    def is_mirrored(self) -> bool:
        """Whether the images would fit if one of them was mirrored."""
        threshold = max(_MIN_MIRROR_CORRELATION, _MIN_CHANCE_RATIO * self.correlation)
        return self.chance_correlation > threshold

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
        """Above 1: the stored field looks larger today."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    @property
    def shear(self) -> float:
        """0: a square stays a square; 0.01: one axis is stretched by 1 % more."""
        longest, shortest = np.linalg.svd(self.matrix[:, :2], compute_uv=False)
        return float(longest / shortest - 1)


def is_too_small_to_match(shape: tuple[int, ...]) -> bool:
    """Return whether a field of (lines, pixels) has too few structures to be found."""
    return min(shape) < MIN_SIDE_PX


def match_field(today: Array, stored: Array, limits: FieldMatchSettings) -> FieldMatch:
    """Match (lines, pixels) images of two days; raises ValueError for a blank one."""
    _require_image(today, "today's image")
    _require_image(stored, "the stored image")
    matrix, correlation = find_affine_map(today, stored, limits)
    _, by_chance = find_affine_map(today, stored[:, ::-1], limits)
    return FieldMatch(matrix, correlation, by_chance, stored.shape, today.shape)


def move_rois(rois: RoiSet, match: FieldMatch) -> RoiSet:
    """Return the masks as they lie in today's image; ids, order and planes stay.

    A mask with more than half of its weight outside is empty. Every pixel of today's
    image is looked up in the stored mask, so that moved masks have no holes.
    """
    pixels = [
        _move_mask(mask, match) if len(mask[0]) else mask for mask in rois.list_pixels()
    ]
    return build_roi_set(rois.ids, match.shape, pixels, rois.planes)


def compute_visibility(
    moved: RoiSet, today: Array, stored: Array, match: FieldMatch
) -> Array:
    """Return for each neuron 0..1: how similar its surroundings look on both days.

    0: no more than unrelated places; also for an empty mask. 1: the same except for
    brightness. (n,) float32; `moved` lies on today's image.
    """
    back = invert_map(match.matrix)
    now, before = compute_local_contrast(today), compute_local_contrast(stored)
    sigma_px = max(1.5, _WINDOW_RADII * _typical_radius_px(moved))
    similarity, chance = (
        _compute_similarity(now, warp_image(image, back, today.shape), sigma_px)
        for image in (before, before[:, ::-1])
    )
    usual = np.nanpercentile(chance, _CHANCE_PERCENT)
    above_chance = np.clip((similarity - usual) / (1 - usual + _EPSILON), 0, 1)
    visibility = np.zeros(len(moved), np.float32)
    is_present = np.diff(moved.indptr) > 0
    rows, cols = np.rint(moved.compute_centers()[is_present]).astype(int).T
    visibility[is_present] = np.nan_to_num(above_chance[rows, cols])
    return visibility


def _require_image(image: Array, name: str) -> None:
    if image.ndim != 2 or is_too_small_to_match(image.shape):
        raise ValueError(
            f"cannot look for the stored field: {name} has shape {image.shape}, but "
            f"at least {MIN_SIDE_PX} lines and pixels are needed"
        )
    if not np.isfinite(image).all() or image.min() == image.max():
        raise ValueError(
            f"cannot look for the stored field: {name} is constant or not finite"
        )


def _move_mask(mask: _MaskPixels, match: FieldMatch) -> _MaskPixels:
    """Return one mask's (rows, cols, weights), moved; empty where mostly outside."""
    corner, weights, cover = _draw_patch(mask)
    first, shape, back = _locate_patch(corner, weights.shape, match.matrix)
    weights, cover = (
        affine_transform(image, back[:, :2], back[:, 2], output_shape=shape, order=1)
        for image in (weights, cover)
    )
    # A mask of few pixels may cover no pixel of today's image by that fraction.
    rows, cols = np.nonzero(cover >= min(_MIN_COVER, cover.max()))
    weights = weights[rows, cols]
    rows, cols = rows + first[0], cols + first[1]
    is_inside = (rows >= 0) & (rows < match.shape[0])
    is_inside &= (cols >= 0) & (cols < match.shape[1])
    if weights[is_inside].sum() <= weights.sum() / 2:
        is_inside[:] = False
    return rows[is_inside], cols[is_inside], weights[is_inside]


def _draw_patch(mask: _MaskPixels) -> tuple[Array, Array, Array]:
    """Return a mask's top left corner, its weights as an image, and its pixels as one.

    A margin of one pixel is left free, so that the mask ends inside the patch.
    """
    points = np.stack(mask[:2])
    corner = points.min(1) - 1
    rows, cols = points - corner[:, None]
    weights = np.zeros((rows.max() + 2, cols.max() + 2), np.float32)
    weights[rows, cols] = mask[2]
    cover = np.zeros_like(weights)
    cover[rows, cols] = 1
    return corner, weights, cover


def _locate_patch(
    corner: Array, shape: tuple[int, ...], matrix: Array
) -> tuple[Array, tuple[int, int], Array]:
    """Return where a patch of the stored image lies in today's.

    Returns its first (row, col) there, its shape, and the map back to the patch.
    """
    ends = corner_points(shape) + np.append(corner, 0)[:, None]
    moved = matrix @ ends
    first = np.floor(moved.min(1)).astype(int)
    rows, cols = (np.ceil(moved.max(1)).astype(int) - first + 1).tolist()
    back = invert_map(matrix)
    offset = back @ np.append(first, 1) - corner
    return first, (rows, cols), np.column_stack([back[:, :2], offset])


def _typical_radius_px(rois: RoiSet) -> float:
    """Return the radius of a disc as large as the median mask; 0 without masks."""
    sizes = np.diff(rois.indptr)
    return float(np.sqrt(np.median(sizes[sizes > 0]) / np.pi)) if sizes.any() else 0.0


def _compute_similarity(one: Array, other: Array, sigma_px: float) -> Array:
    """Return the correlation of two images around each pixel, in a Gaussian window.

    NaN where other is NaN.
    """
    is_known = np.isfinite(other)
    one, other = np.where(is_known, one, 0), np.where(is_known, other, 0)
    images = (is_known, one, other, one * one, other * other, one * other)
    weight, *sums = (gaussian_filter(i.astype(np.float32), sigma_px) for i in images)
    a, b, aa, bb, ab = (total / (weight + _EPSILON) for total in sums)
    spread = np.sqrt(np.maximum((aa - a * a) * (bb - b * b), 1e-12))
    return np.where(is_known, (ab - a * b) / spread, np.nan)
