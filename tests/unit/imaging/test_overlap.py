"""Cells that share pixels: what is read of each, against what each did."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import TracesSettings
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.imaging.traces.overlap import Demixer, without_shared
from rtrecon.rois.roi_set import from_pixels

SHAPE, NEUROPIL, N_FRAMES = (60, 60), 50.0, 200
# middles of discs of radius 6: a pair, a chain of three, one with another in it, one
MIDDLES = [(12, 12), (12, 19), (40, 10), (40, 18), (40, 26), (12, 45), (44, 48)]
INSIDE = (12, 45), 3  # of the sixth


def disc(middle, radius):
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.nonzero(np.hypot(rows - middle[0], cols - middle[1]) <= radius)


@pytest.fixture(params=["even", "uneven"])
def rois(request):
    rng = np.random.default_rng(0)
    masks = [disc(m, 6) for m in MIDDLES] + [disc(*INSIDE)]
    even = request.param == "even"
    weights = [np.ones(len(r)) if even else rng.uniform(1, 2, len(r)) for r, _ in masks]
    pixels = [(r, c, w) for (r, c), w in zip(masks, weights, strict=True)]
    return from_pixels(np.arange(len(masks)) + 10, SHAPE, pixels)


def shown(rois, brightness):
    """An image of cells that are as bright as told above their surroundings."""
    image = np.full(SHAPE, NEUROPIL, np.float32)
    for (rows, cols, weights), glow in zip(rois.pixels(), brightness, strict=True):
        image[rows, cols] += glow * weights / np.square(weights).sum()
    return image


def read(rois, overlap, frames):
    """Return what is read of each cell, (frames, n), above the neuropil."""
    masks = with_rings(rois, TracesSettings(overlap=overlap))
    extractor, demixer = TraceExtractor(masks.cells, masks.rings), Demixer(masks.cells)
    traces = []
    for frame in frames:
        cell, ring = np.empty((2, len(rois)), np.float32)
        extractor.extract(frame, cell, ring)
        if overlap == "demix":
            demixer.apply(cell, ring)
        traces.append(cell - ring)
    return np.array(traces)


@pytest.fixture
def truth(rois):
    return np.random.default_rng(1).exponential(20, (N_FRAMES, len(rois)))


def crosstalk(traces, truth):
    """Mean share of the others' activity in each cell's trace: |r| off the diagonal."""
    n = truth.shape[1]
    r = np.corrcoef(traces.T, truth.T)[:n, n:]
    return np.abs(r - np.diag(np.diag(r))).sum() / n


def test_demixing_gives_what_was_shown(rois, truth):
    found = read(rois, "demix", [shown(rois, glow) for glow in truth])
    np.testing.assert_allclose(found, truth, rtol=0.05, atol=0.5)


def test_demixing_is_better_than_excluding_and_that_than_sharing(rois, truth):
    rng = np.random.default_rng(2)
    frames = [
        (shown(rois, glow) + rng.normal(0, 10, SHAPE)).astype(np.float32)
        for glow in truth
    ]
    mixed = {
        overlap: crosstalk(read(rois, overlap, frames), truth)
        for overlap in ("share", "exclude", "demix")
    }
    assert mixed["demix"] < mixed["exclude"] < mixed["share"]


def test_shared_pixels_are_excluded_but_a_hidden_cell_keeps_its_own(rois):
    kept, hidden = without_shared(rois)
    assert hidden.tolist() == [False] * 7 + [True]
    np.testing.assert_array_equal(kept.ids, rois.ids)
    (r0, c0, _), (r1, c1, _) = kept.pixels()[:2]
    assert not set(zip(r0, c0, strict=True)) & set(zip(r1, c1, strict=True))
    assert len(kept.pixels()[7][0]) == len(rois.pixels()[7][0])
    np.testing.assert_allclose([w.sum() for *_, w in kept.pixels()], 1, rtol=1e-5)


def test_a_cell_alone_is_not_touched(rois):
    cell = np.random.default_rng(0).normal(100, 10, len(rois)).astype(np.float32)
    before, ring = cell.copy(), np.full(len(rois), NEUROPIL, np.float32)
    Demixer(rois).apply(cell, ring)
    assert cell[6] == before[6]
    assert (cell[:6] != before[:6]).all()


@pytest.mark.parametrize("lost", ["cell", "ring"])
def test_a_missing_value_does_not_spread(rois, lost):
    cell = np.full(len(rois), 80, np.float32)
    ring = np.full(len(rois), NEUROPIL, np.float32)
    (cell if lost == "cell" else ring)[0] = np.nan
    Demixer(rois).apply(cell, ring)
    assert np.isnan(cell).tolist() == [lost == "cell"] + [False] * 7


def test_two_masks_that_are_the_same_share_what_they_see():
    rows, cols = disc((20, 20), 5)
    both = from_pixels(np.arange(2), SHAPE, [(rows, cols, np.ones(len(rows)))] * 2)
    cell, ring = np.full(2, 80, np.float32), np.full(2, 50, np.float32)
    Demixer(both).apply(cell, ring)
    assert (cell - ring).sum() == pytest.approx(30, abs=0.01)


def test_the_kernel_solves_the_equations():
    rng = np.random.default_rng(0)
    n = 12
    overlap = rng.uniform(0, 0.5, (n, n)) * (rng.random((n, n)) < 0.3)
    overlap = np.triu(overlap, 1)
    overlap += overlap.T
    index = [np.flatnonzero(row) for row in overlap]
    indptr = np.concatenate([[0], np.cumsum([len(i) for i in index])])
    values = np.concatenate([row[i] for row, i in zip(overlap, index, strict=True)])
    shares = indptr, np.concatenate(index).astype(np.uint32), values.astype("f4")
    cell = rng.normal(100, 20, n).astype(np.float32)
    ring, above = rng.normal(50, 5, n).astype("f4"), np.empty(n, np.float32)
    expected = np.linalg.solve(np.eye(n) + overlap, cell - ring) + ring
    kernels.demix(ring, shares, 200, above, cell)
    np.testing.assert_allclose(cell, expected, rtol=1e-3, atol=0.05)
