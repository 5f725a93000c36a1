"""The built-in detector: where neurons are, then which pixels are theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes, label, maximum_filter

from rtrecon.core.types import Array
from rtrecon.detection.activity import shared_with_middle
from rtrecon.detection.evidence import weigh_evidence
from rtrecon.detection.registered_movie import Report, Steady
from rtrecon.rois.roi_set import RoiSet, from_pixels

# In diameters of a soma: nearer middles are one neuron, further pixels another's.
_APART, _REACH = 0.6, 0.8
# Of a soma's area: what is grown to less is a piece, and to more a clump.
_SMALLEST, _LARGEST = 0.4, 1.6
# Correlation with the neuron's own trace under which no pixel says anything, and the
# share of the typical one in its middle that a pixel must reach to belong to it.
_SILENT, _BELONGS = 0.2, 0.5


def detect(steady: Steady, diameter_px: float, report: Report) -> RoiSet:
    """Return disjoint masks, best first, ids 0..n-1; the bins are used up.

    An active neuron's mask is what brightens with its middle, weighted by how much;
    that of a silent one is a disc. A pixel goes to the nearest neuron that wants it.
    """
    score = weigh_evidence(steady.mean, steady.bins, diameter_px, report)
    centers = _peaks(score, steady.seen, _APART * diameter_px)
    claims = _Claims(steady.mean.shape)
    for neuron, center in enumerate(centers):
        patch = _patch(center, steady.mean.shape, _REACH * diameter_px)
        mask = _grown(steady.bins[:, *patch.place], patch.apart, diameter_px)
        claims.enter(neuron, patch, mask)
        report("masks", (neuron + 1) / len(centers), f"{neuron + 1} neurons")
    return claims.settled(len(centers))


@dataclass(frozen=True)
class _Patch:
    """A piece of the field, and how far its pixels lie from a neuron's middle."""

    place: tuple[slice, slice]
    apart: Array


class _Claims:
    """Whose each pixel is, how far from the middle, and how much it weighs."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._owner = np.full(shape, -1)
        self._apart = np.full(shape, np.inf, np.float32)
        self._weights = np.zeros(shape, np.float32)

    def enter(self, neuron: int, patch: _Patch, mask: Array) -> None:
        mine = (mask > 0) & (patch.apart < self._apart[patch.place])
        self._owner[patch.place][mine] = neuron
        self._apart[patch.place][mine] = patch.apart[mine]
        self._weights[patch.place][mine] = mask[mine]

    def settled(self, n_neurons: int) -> RoiSet:
        owned = [np.nonzero(self._owner == neuron) for neuron in range(n_neurons)]
        pixels = [(rows, cols, self._weights[rows, cols]) for rows, cols in owned]
        shape = (self._owner.shape[0], self._owner.shape[1])
        return from_pixels(np.arange(n_neurons), shape, pixels)


def _peaks(score: Array, seen: tuple[slice, slice], apart_px: float) -> Array:
    """Return (n, 2) row, col of the highest places that count, best first."""
    reach = int(apart_px)
    near = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= apart_px
    inside = np.zeros(score.shape, bool)
    inside[seen] = True
    score = np.where(inside, score, 0)
    top = (score >= 1) & (score == maximum_filter(score, footprint=near))
    centers = np.argwhere(top)
    return centers[np.argsort(-score[top], kind="stable")]


def _patch(center: Array, shape: tuple[int, ...], reach_px: float) -> _Patch:
    bounds = [
        np.arange(max(0, int(at - reach_px)), min(side, int(at + reach_px) + 1))
        for at, side in zip(center, shape, strict=True)
    ]
    rows, cols = bounds
    apart = np.hypot(rows[:, None] - center[0], cols[None] - center[1])
    place = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    return _Patch(place, apart.astype(np.float32))


def _grown(activity: Array, apart: Array, diameter_px: float) -> Array:
    """Return (rows, cols) weights >= 0 of the neuron in the middle of a patch."""
    disc = apart <= diameter_px / 2
    power = np.square(activity).mean(0)
    likeness = shared_with_middle(activity, disc) / np.sqrt(power + 1e-12)
    typical = np.median(likeness[disc])
    if typical < _SILENT:
        return disc.astype(np.float32)
    belongs = (likeness >= _BELONGS * typical) & (apart <= _REACH * diameter_px)
    whole = _piece_at(belongs, apart.argmin())
    area = np.count_nonzero(whole) / np.count_nonzero(disc)
    if not _SMALLEST <= area <= _LARGEST:
        return disc.astype(np.float32)
    return np.where(whole, np.maximum(likeness, _BELONGS * typical), 0)


def _piece_at(belongs: Array, middle: np.intp) -> Array:
    """Return the connected piece, holes filled, that the middle lies in, if any."""
    pieces, _ = label(binary_fill_holes(belongs))
    own = pieces.flat[middle]
    return np.asarray((pieces == own) & (own > 0))
