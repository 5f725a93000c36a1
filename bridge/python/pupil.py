"""Find the pupil in the image of an eye camera. Needs numpy and scipy, not rtrecon.

The largest dark (or bright) blob is taken, and an ellipse is fitted to its edge. Edge
points that a reflection of the lamp or the eyelid hides are left out: they lie on no
common ellipse with the others. Where too little of an edge is seen, or what is inside
does not differ from what is outside, there is no answer, but a reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ellipse import Ellipse, fit_robustly, mask_ellipse, turn
from scipy import ndimage

MAX_POINTS = 240  # of the edge; more only cost time
N_SECTORS = 12  # of the ellipse, each of which is seen or hidden
COARSE_LINES = 200  # a larger image is reduced to at least so many
# Of the height of the image: what is smaller is a spot, what is larger is the eye.
MIN_SHARE, MAX_SHARE = 0.1, 0.7
RING = 1.35  # the iris is looked at up to so many times the size of the pupil


@dataclass(frozen=True)
class Limits:
    """What a pupil can look like.

    is_bright: the pupil is brighter than the iris (lamp beside the lens). threshold:
    level between pupil and iris; None finds it in each image. min_px, max_px: diameter;
    None = 10 and 70 % of the image's height. min_contrast: gray levels between pupil
    and iris; they must also differ by `min_uniformity` times the spread of levels in
    the pupil. min_seen: share of the edge that must be seen. min_axis_ratio: of the
    ellipse.
    """

    is_bright: bool = False
    threshold: float | None = None
    min_px: float | None = None
    max_px: float | None = None
    min_contrast: float = 12.0
    min_uniformity: float = 8.0
    min_seen: float = 0.6
    min_axis_ratio: float = 0.65


def find_pupil(image: np.ndarray, limits: Limits | None = None) -> Ellipse | str:
    """Return the pupil in a gray image (height, width), or why there is none."""
    limits = limits or Limits()
    height = image.shape[0]
    limits = replace(
        limits,
        min_px=limits.min_px or MIN_SHARE * height,
        max_px=limits.max_px or MAX_SHARE * height,
    )
    step = max(1, image.shape[0] // COARSE_LINES)
    if step == 1:
        return find_in_levels(np.asarray(image, np.float32), limits)
    # A large image takes longer than a camera waits, and is no more precise.
    coarse = replace(limits, min_px=limits.min_px / step, max_px=limits.max_px / step)
    found = find_in_levels(average_blocks(image, step), coarse)
    if isinstance(found, str):
        return found
    x, y = (step * value + (step - 1) / 2 for value in (found.x, found.y))
    axes = step * found.axes[0], step * found.axes[1]
    return replace(found, x=x, y=y, axes=axes)


def average_blocks(image: np.ndarray, step: int) -> np.ndarray:
    """Return the means of blocks of step x step pixels; an incomplete block is left."""
    height, width = image.shape[0] // step, image.shape[1] // step
    whole = image[: height * step, : width * step].astype(np.float32)
    return whole.reshape(height, step, width, step).mean((1, 3))


def find_in_levels(levels: np.ndarray, limits: Limits) -> Ellipse | str:
    """Return the pupil in an image of floats (height, width), or why there is none."""
    levels = ndimage.gaussian_filter(levels, 1.0)
    threshold = limits.threshold
    if limits.is_bright:
        levels = 255 - levels  # from here on, the pupil is dark
        threshold = None if threshold is None else 255 - threshold
    if threshold is not None:
        return fit_blob(levels, threshold, limits)[0]
    found, threshold = fit_blob(levels, guess_threshold(levels), limits)
    if isinstance(found, str):
        return found
    # Again, with the levels of this pupil and this iris.
    return fit_blob(levels, threshold, limits)[0]


def fit_blob(
    levels: np.ndarray, threshold: float, limits: Limits
) -> tuple[Ellipse | str, float]:
    """Return the ellipse around the largest blob, and the level at its edge.

    In place of an ellipse, a reason why the blob is no pupil.
    """
    blob = find_largest_blob(levels < threshold)
    if blob.sum() < np.pi / 4 * limits.min_px**2:
        return "no blob is large enough", threshold
    around = find_surroundings(blob)
    levels, blob = levels[around], blob[around]
    fitted = fit_edge(levels, blob, threshold, limits)
    if isinstance(fitted, str):
        return fitted, threshold
    pupil_level, spread, iris_level = measure_levels(levels, fitted)
    contrast = iris_level - pupil_level
    if contrast < max(limits.min_contrast, limits.min_uniformity * spread):
        return "the blob hardly differs from what is around it", threshold
    x, y = fitted.x + around[1].start, fitted.y + around[0].start
    return replace(fitted, x=float(x), y=float(y)), (pupil_level + iris_level) / 2


def guess_threshold(levels: np.ndarray) -> float:
    """Return a level between the darkest part of an image and the usual one."""
    dark, usual = np.percentile(levels[::2, ::2], (0.2, 50))
    return float(dark + 0.4 * (usual - dark))


def find_largest_blob(is_dark: np.ndarray) -> np.ndarray:
    """Return the largest connected region, bool, with its holes filled."""
    labels, n_blobs = ndimage.label(is_dark)
    if not n_blobs:
        return np.zeros_like(is_dark)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return ndimage.binary_fill_holes(labels == sizes.argmax())


def find_surroundings(blob: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of a blob, and as many again around it."""
    slices = []
    for axis in (0, 1):
        used = np.flatnonzero(blob.any(1 - axis))
        margin = (used[-1] - used[0] + 1) // 2 + 4
        slices.append(slice(max(0, used[0] - margin), used[-1] + margin + 1))
    return slices[0], slices[1]


def fit_edge(
    levels: np.ndarray, blob: np.ndarray, threshold: float, limits: Limits
) -> Ellipse | str:
    """Return the ellipse through the edge of a blob, or why it is no pupil."""
    edge = find_edge(levels, blob, threshold)
    if len(edge) < N_SECTORS:
        return "the blob has no edge"
    fitted = fit_robustly(edge)
    if fitted is None:
        return "the edge of the blob is no ellipse"
    pupil, inliers = fitted
    if not limits.min_px <= pupil.diameter <= limits.max_px:
        return "the blob has not the size of a pupil"
    if pupil.axes[1] < limits.min_axis_ratio * pupil.axes[0]:
        return "the blob is too narrow"
    share_seen = measure_share_seen(pupil, edge[inliers])
    if share_seen < limits.min_seen:
        return "too little of the edge is seen"
    inside = mask_ellipse(levels.shape, pupil, 1.0)
    overlap = (blob & inside).sum() / (blob | inside).sum()
    if overlap < limits.min_seen:
        return "the blob has not the shape of the ellipse"
    return replace(pupil, share_seen=share_seen)


def find_edge(levels: np.ndarray, blob: np.ndarray, threshold: float) -> np.ndarray:
    """Return points (n, 2), x and y, where the level crosses the threshold.

    Between two neighbouring pixels, of which one belongs to the blob, the level is
    taken as linear. The edge of the image is no edge.
    """
    points = []
    for axis in (0, 1):
        first = [slice(None), slice(None)]
        second = [slice(None), slice(None)]
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        crosses = blob[tuple(first)] != blob[tuple(second)]
        rows, columns = np.nonzero(crosses)
        before = levels[tuple(first)][crosses]
        step = levels[tuple(second)][crosses] - before
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (threshold - before) / step
        is_real = np.isfinite(share) & (share >= 0) & (share <= 1)
        position = [columns.astype(float), rows.astype(float)]
        position[1 - axis] += share
        points.append(np.stack(position, 1)[is_real])
    edge = np.concatenate(points)
    stride = -(-len(edge) // MAX_POINTS)
    return edge[:: max(1, stride)]


def measure_share_seen(pupil: Ellipse, points: np.ndarray) -> float:
    """Return in which share of the ellipse's sectors there are edge points."""
    x, y = turn(points[:, 0] - pupil.x, points[:, 1] - pupil.y, pupil)
    angles = np.arctan2(y / pupil.axes[1], x / pupil.axes[0])
    sectors = np.floor((angles / (2 * np.pi) % 1.0) * N_SECTORS).astype(int)
    return len(np.unique(sectors)) / N_SECTORS


def measure_levels(levels: np.ndarray, pupil: Ellipse) -> tuple[float, float, float]:
    """Return the usual level in the ellipse, its spread, and the level around it."""
    inside = levels[mask_ellipse(levels.shape, pupil, 0.7)]
    ring = mask_ellipse(levels.shape, pupil, RING)
    ring &= ~mask_ellipse(levels.shape, pupil, 1.1)
    if not len(inside) or not ring.any():
        return 0.0, 0.0, 0.0
    usual = float(np.median(inside))
    spread = 1.48 * float(np.median(np.abs(inside - usual)))
    return usual, spread, float(np.median(levels[ring]))
