"""The built-in neuron detector: finds centers, then the pixels of each neuron."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.ndimage import binary_fill_holes, label, maximum_filter

from rtrecon.core.threads import map_in_threads
from rtrecon.core.types import Array
from rtrecon.detection.activity import compute_center_covariance
from rtrecon.detection.center_score import compute_center_score
from rtrecon.detection.registered_movie import RegisteredMovie, StageProgressCallback
from rtrecon.rois.roi_set import RoiSet, build_roi_set

# In soma diameters: smallest distance of two neurons, largest distance of a pixel from
# the center of its neuron.
_MIN_DISTANCE, _MAX_RADIUS = 0.6, 0.8
# In soma areas: a smaller mask is a fragment, a larger one is several neurons.
_MIN_AREA, _MAX_AREA = 0.4, 1.6
# Below this correlation with its own trace a neuron counts as silent.
_MIN_CORRELATION = 0.2
# A pixel belongs to a neuron from this share of the median correlation in its center.
_MIN_RELATIVE_CORRELATION = 0.5


def detect_neurons(
    movie: RegisteredMovie, diameter_px: float, on_progress: StageProgressCallback
) -> RoiSet:
    """Return disjoint masks, best first, ids 0..n-1; overwrites `movie.bins`.

    The mask of an active neuron has the pixels that correlate with its center, weighted
    by the correlation; the mask of a silent neuron is a disc. A pixel that two neurons
    share goes to the nearer one.
    """
    score = compute_center_score(movie.mean, movie.bins, diameter_px, on_progress)
    centers = _find_peaks(score, movie.visible, _MIN_DISTANCE * diameter_px)
    owners = _PixelOwners(movie.mean.shape)
    radius_px = _MAX_RADIUS * diameter_px
    patches = [_make_patch(center, movie.mean.shape, radius_px) for center in centers]
    masks = map_in_threads(partial(_grow_mask, movie.bins, diameter_px), patches)
    for neuron, (patch, mask) in enumerate(zip(patches, masks, strict=True)):
        owners.assign_pixels(neuron, patch, mask)
        on_progress("masks", (neuron + 1) / len(centers), f"{neuron + 1} neurons")
    return owners.build_rois(len(centers))


@dataclass(frozen=True)
class _Patch:
    """Part of the field around a center, and the distance of its pixels from it."""

    indices: tuple[Array, Array]  # of lines and pixels, consecutive
    distance_px: Array

    @property
    def slices(self) -> tuple[slice, slice]:
        rows, cols = self.indices
        return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)


class _PixelOwners:
    """The neuron of each pixel, its distance from the center, and its weight."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._owner = np.full(shape, -1)
        self._distance_px = np.full(shape, np.inf, np.float32)
        self._weights = np.zeros(shape, np.float32)

    def assign_pixels(self, neuron: int, patch: _Patch, mask: Array) -> None:
        """Assign the pixels of a mask that are nearer to this neuron than to others."""
        is_nearer = patch.distance_px < self._distance_px[patch.slices]
        is_taken = (mask > 0) & is_nearer
        self._owner[patch.slices][is_taken] = neuron
        self._distance_px[patch.slices][is_taken] = patch.distance_px[is_taken]
        self._weights[patch.slices][is_taken] = mask[is_taken]

    def build_rois(self, n_neurons: int) -> RoiSet:
        owned = [np.nonzero(self._owner == neuron) for neuron in range(n_neurons)]
        pixels = [(rows, cols, self._weights[rows, cols]) for rows, cols in owned]
        shape = (self._owner.shape[0], self._owner.shape[1])
        return build_roi_set(np.arange(n_neurons), shape, pixels)


def _find_peaks(
    score: Array, visible: tuple[slice, slice], min_distance_px: float
) -> Array:
    """Return (n, 2) row, col of local maxima with a score of at least 1, best first."""
    reach = int(min_distance_px)
    rows, cols = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    is_visible = np.zeros(score.shape, bool)
    is_visible[visible] = True
    score = np.where(is_visible, score, 0)
    neighborhood = np.hypot(rows, cols) <= min_distance_px
    is_maximum = score == maximum_filter(score, footprint=neighborhood)
    is_peak = (score >= 1) & is_maximum
    centers = np.argwhere(is_peak)
    return centers[np.argsort(-score[is_peak], kind="stable")]


def _make_patch(center: Array, shape: tuple[int, ...], radius_px: float) -> _Patch:
    rows, cols = (
        np.arange(max(0, int(at - radius_px)), min(side, int(at + radius_px) + 1))
        for at, side in zip(center, shape, strict=True)
    )
    distance_px = np.hypot(rows[:, None] - center[0], cols[None] - center[1])
    return _Patch((rows, cols), distance_px.astype(np.float32))


def _grow_mask(activity: Array, diameter_px: float, patch: _Patch) -> Array:
    """Return (rows, cols) weights >= 0 of the neuron in the center of a patch."""
    distance_px = patch.distance_px
    disc = distance_px <= diameter_px / 2
    power = np.square(activity[:, *patch.slices]).mean(0)
    covariance = compute_center_covariance(activity, patch.indices, disc)
    correlation = covariance / np.sqrt(power + 1e-12)
    typical = np.median(correlation[disc])
    if typical < _MIN_CORRELATION:
        return disc.astype(np.float32)
    threshold = _MIN_RELATIVE_CORRELATION * typical
    is_near = distance_px <= _MAX_RADIUS * diameter_px
    mask = _select_component((correlation >= threshold) & is_near, distance_px.argmin())
    area = np.count_nonzero(mask) / np.count_nonzero(disc)
    if not _MIN_AREA <= area <= _MAX_AREA:
        return disc.astype(np.float32)
    return np.where(mask, np.maximum(correlation, threshold), 0)


def _select_component(mask: Array, center: np.intp) -> Array:
    """Return the connected component, holes filled, that holds the center, if any."""
    components, _ = label(binary_fill_holes(mask))
    at_center = components.flat[center]
    return np.asarray((components == at_center) & (at_center > 0))
