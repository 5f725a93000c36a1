"""Cells that share pixels: their traces against their true brightness."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import TracesSettings
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.imaging.traces.overlap import CellDemixer, exclude_shared_pixels
from rtrecon.rois.roi_set import build_roi_set

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
    return build_roi_set(np.arange(len(masks)) + 10, SHAPE, pixels)


def render_cells(rois, brightness):
    """Return an image of cells with this brightness above their surroundings."""
    image = np.full(SHAPE, NEUROPIL, np.float32)
    for (rows, cols, weights), glow in zip(rois.list_pixels(), brightness, strict=True):
        image[rows, cols] += glow * weights / np.square(weights).sum()
    return image


def read_traces(rois, overlap, frames):
    """Return the traces of all cells, (frames, n), above the neuropil."""
    masks = make_cell_masks(rois, TracesSettings(overlap=overlap))
    extractor, demixer = (
        TraceExtractor(masks.cells, masks.neuropil),
        CellDemixer(masks.cells),
    )
    traces = []
    for frame in frames:
        cell, neuropil = np.empty((2, len(rois)), np.float32)
        extractor.extract_traces(frame, cell, neuropil)
        if overlap == "demix":
            demixer.demix_cells(cell, neuropil)
        traces.append(cell - neuropil)
    return np.array(traces)


@pytest.fixture
def truth(rois):
    return np.random.default_rng(1).exponential(20, (N_FRAMES, len(rois)))


def crosstalk(traces, truth):
    """Mean share of the others' activity in each cell's trace: |r| off the diagonal."""
    n = truth.shape[1]
    r = np.corrcoef(traces.T, truth.T)[:n, n:]
    return np.abs(r - np.diag(np.diag(r))).sum() / n


def test_demixing_recovers_the_brightness_of_each_cell(rois, truth):
    found = read_traces(rois, "demix", [render_cells(rois, glow) for glow in truth])
    np.testing.assert_allclose(found, truth, rtol=0.05, atol=0.5)


def test_demixing_has_less_crosstalk_than_excluding_and_that_less_than_sharing(
    rois, truth
):
    rng = np.random.default_rng(2)
    frames = [
        (render_cells(rois, glow) + rng.normal(0, 10, SHAPE)).astype(np.float32)
        for glow in truth
    ]
    mixed = {
        overlap: crosstalk(read_traces(rois, overlap, frames), truth)
        for overlap in ("share", "exclude", "demix")
    }
    assert mixed["demix"] < mixed["exclude"] < mixed["share"]


def test_shared_pixels_are_excluded_except_for_hidden_cells(rois):
    kept, hidden = exclude_shared_pixels(rois)
    assert hidden.tolist() == [False] * 7 + [True]
    np.testing.assert_array_equal(kept.ids, rois.ids)
    (r0, c0, _), (r1, c1, _) = kept.list_pixels()[:2]
    assert not set(zip(r0, c0, strict=True)) & set(zip(r1, c1, strict=True))
    assert len(kept.list_pixels()[7][0]) == len(rois.list_pixels()[7][0])
    np.testing.assert_allclose([w.sum() for *_, w in kept.list_pixels()], 1, rtol=1e-5)


def test_a_cell_without_overlap_does_not_change(rois):
    cell = np.random.default_rng(0).normal(100, 10, len(rois)).astype(np.float32)
    before, neuropil = cell.copy(), np.full(len(rois), NEUROPIL, np.float32)
    CellDemixer(rois).demix_cells(cell, neuropil)
    assert cell[6] == before[6]
    assert (cell[:6] != before[:6]).all()


@pytest.mark.parametrize("lost", ["cell", "neuropil"])
def test_a_missing_value_does_not_spread(rois, lost):
    cell = np.full(len(rois), 80, np.float32)
    neuropil = np.full(len(rois), NEUROPIL, np.float32)
    (cell if lost == "cell" else neuropil)[0] = np.nan
    CellDemixer(rois).demix_cells(cell, neuropil)
    assert np.isnan(cell).tolist() == [lost == "cell"] + [False] * 7


def test_two_equal_masks_share_their_signal():
    rows, cols = disc((20, 20), 5)
    both = build_roi_set(np.arange(2), SHAPE, [(rows, cols, np.ones(len(rows)))] * 2)
    cell, neuropil = np.full(2, 80, np.float32), np.full(2, 50, np.float32)
    CellDemixer(both).demix_cells(cell, neuropil)
    assert (cell - neuropil).sum() == pytest.approx(30, abs=0.01)


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
    neuropil, above = rng.normal(50, 5, n).astype("f4"), np.empty(n, np.float32)
    expected = np.linalg.solve(np.eye(n) + overlap, cell - neuropil) + neuropil
    kernels.demix_cells(neuropil, shares, 200, above, cell)
    np.testing.assert_allclose(cell, expected, rtol=1e-3, atol=0.05)
