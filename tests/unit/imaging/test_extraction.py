"""Cells, annuli, dF/F and activity, each with a known answer."""

import numpy as np
import pytest
from scipy.ndimage import (
    distance_transform_edt,
    gaussian_filter1d,
    maximum_filter1d,
    minimum_filter1d,
)

from rtrecon.config import TracesSettings
from rtrecon.imaging.traces.baseline import DffCalculator, RunningBaseline
from rtrecon.imaging.traces.deconvolution import Ar1Deconvolver
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import make_neuropil_masks
from rtrecon.rois.roi_set import build_roi_set
from rtrecon.testing.synthetic_field import make_field

SETTINGS = TracesSettings(deconvolution_lag_frames=0)
RATE_HZ = 30.0
SHAPE = (48, 61)


def block(top, left, side):
    rows, cols = np.mgrid[top : top + side, left : left + side]
    return rows.ravel(), cols.ravel(), np.ones(rows.size)


NONE = (np.empty(0, int), np.empty(0, int), np.empty(0))
# Masks that are awkward: at a corner, one pixel, empty, overlapping, an edge line.
MASKS = {
    "corner": block(0, 0, 6),
    "one pixel": block(20, 20, 1),
    "empty": NONE,
    "last corner": block(42, 55, 6),
    "overlapping": block(18, 18, 6),
    "edge line": (np.full(61, 47), np.arange(61), np.linspace(1, 2, 61)),
}


@pytest.fixture
def rois():
    return build_roi_set(np.arange(len(MASKS)) + 7, SHAPE, list(MASKS.values()))


def dense(masks, i, uniform=False):
    """Mask i as an image of weights."""
    own = slice(masks.indptr[i], masks.indptr[i + 1])
    out = np.zeros(masks.shape)
    out[masks.rows[own], masks.cols[own]] = 1 if uniform else masks.weights[own]
    return out


def test_annuli_keep_their_distance_and_leave_out_all_cells(rois):
    rings = make_neuropil_masks(rois, SETTINGS)
    np.testing.assert_array_equal(rings.ids, rois.ids)
    occupied = sum(dense(rois, i) for i in range(len(rois))) > 0
    for i, name in enumerate(MASKS):
        ring = dense(rings, i) > 0
        if name == "empty":
            assert not ring.any()
            continue
        assert ring.sum() >= 100
        assert not (ring & occupied).any()
        distance = distance_transform_edt(dense(rois, i) == 0)
        assert distance[ring].min() > SETTINGS.neuropil_inner_px
        # Wider than asked for only where it would otherwise be too small.
        if distance[ring].max() > 9:
            assert (ring & (distance <= 9)).sum() < 100


def test_a_cell_without_free_surroundings_has_no_annulus():
    everywhere = (np.arange(64).repeat(64), np.tile(np.arange(64), 64), np.ones(4096))
    rois = build_roi_set(np.arange(2), (64, 64), [block(30, 30, 4), everywhere])
    np.testing.assert_array_equal(
        np.diff(make_neuropil_masks(rois, SETTINGS).indptr), 0
    )


def test_extraction_returns_the_mean_of_the_pixels(rois):
    rings = make_neuropil_masks(rois, SETTINGS)
    image = np.random.default_rng(0).normal(300, 80, SHAPE).astype(np.float32)
    cell, ring = np.empty((2, len(rois)), np.float32)
    TraceExtractor(rois, rings).extract_traces(image, cell, ring)
    for i, name in enumerate(MASKS):
        if name == "empty":
            assert np.isnan([cell[i], ring[i]]).all()
            continue
        assert cell[i] == pytest.approx((image * dense(rois, i)).sum(), rel=1e-5)
        pixels = image[dense(rings, i) > 0]
        assert ring[i] == pytest.approx(pixels.mean(dtype=float), rel=1e-5)


def test_extraction_works_without_any_roi():
    none = build_roi_set(np.arange(0), SHAPE, [])
    nothing = np.empty(0, np.float32)
    extractor = TraceExtractor(none, make_neuropil_masks(none, SETTINGS))
    extractor.extract_traces(np.zeros(SHAPE, np.float32), nothing, nothing)
    DffCalculator(0, RATE_HZ, SETTINGS).compute_dff(nothing, nothing, nothing)
    Ar1Deconvolver(0, RATE_HZ, SETTINGS).deconvolve_frame(nothing, nothing)


def test_masks_and_images_of_other_fields_are_refused(rois):
    other = build_roi_set(np.arange(1), (64, 64), [block(3, 3, 2)])
    with pytest.raises(ValueError, match="make the annuli from these cells"):
        TraceExtractor(rois, other)
    extractor = TraceExtractor(rois, make_neuropil_masks(rois, SETTINGS))
    out = np.empty(len(rois), np.float32)
    with pytest.raises(ValueError, match="does not fit masks"):
        extractor.extract_traces(np.zeros((64, 64), np.float32), out, out)


def drifting_traces(seconds=180, n=20, seed=0):
    """Return (n_frames, n) counts: bleaching baseline, transients, noise."""
    rng = np.random.default_rng(seed)
    frames = int(seconds * RATE_HZ)
    activity = (rng.random((frames, n)) < 0.01) * 60.0
    for k in range(1, frames):
        activity[k] += 0.95 * activity[k - 1]
    rest = np.linspace(200, 170, frames)[:, None]
    noisy = rest + activity + rng.normal(0, 10, (frames, n))
    return noisy.astype(np.float32), np.broadcast_to(rest, (frames, n))


def run(process, frames):
    """Return what `process(values, out)` writes for each frame."""
    out = np.empty_like(frames)
    for values, answer in zip(frames, out, strict=True):
        process(values, answer)
    return out


def run_baseline(traces):
    baseline = RunningBaseline(traces.shape[1], RATE_HZ, SETTINGS)
    return run(baseline.update_baseline, traces)


def run_deconvolution(traces):
    deconvolver = Ar1Deconvolver(traces.shape[1], RATE_HZ, SETTINGS)
    return run(deconvolver.deconvolve_frame, traces)


def test_the_baseline_follows_rest_like_the_offline_filter():
    traces, rest = drifting_traces()
    baseline = run_baseline(traces)
    window = int(60 * RATE_HZ)
    offline = gaussian_filter1d(traces, 10, axis=0)
    offline = minimum_filter1d(offline, window, axis=0)
    offline = maximum_filter1d(offline, window, axis=0)
    late = slice(window, None)
    assert np.abs(baseline[late] / rest[late] - 1).max() < 0.12
    assert np.abs(baseline[late] - offline[late]).max() < 12


def test_the_baseline_is_sensible_from_the_first_frame():
    traces, rest = drifting_traces(seconds=4)
    traces[0] = 0.6 * rest[0]
    baseline = run_baseline(traces)
    np.testing.assert_array_equal(baseline[0], traces[0])
    # The unlucky first value is not the minimum for the next minute.
    assert (baseline[60:] > 0.85 * rest[60:]).all()


def test_the_baseline_forgets_values_outside_the_window():
    traces = np.full((int(100 * RATE_HZ), 1), 100, np.float32)
    traces[300:330] = 20
    baseline = run_baseline(traces)
    assert baseline[330 + int(55 * RATE_HZ)] < 60
    assert baseline[330 + int(62 * RATE_HZ)] == pytest.approx(100, abs=0.5)


def test_nan_affects_only_its_own_neuron_and_frames():
    traces, _ = drifting_traces(seconds=20)
    holed = traces.copy()
    holed[100:104, 3] = holed[300, 5] = np.nan
    for process in (run_baseline, run_deconvolution):
        whole, answer = process(traces), process(holed)
        np.testing.assert_array_equal(np.isnan(answer), np.isnan(holed))
        others = np.delete(np.arange(traces.shape[1]), (3, 5))
        np.testing.assert_array_equal(answer[:, others], whole[:, others])
        settled = np.abs(answer[500:, 3] - whole[500:, 3])
        assert np.median(settled) < 1


def test_dff_is_computed_after_neuropil_subtraction():
    frames = int(90 * RATE_HZ)
    neuropil = np.full((frames, 2), 80, np.float32)
    cell = np.full((frames, 2), 200, np.float32)
    cell[2000:2100] *= 1.5
    neuropil[:, 1] = np.nan  # no annulus: nothing is subtracted
    change = DffCalculator(2, RATE_HZ, SETTINGS, detector_offset_counts=100.0)
    out = np.empty((frames, 2), np.float32)
    for one, other, dff in zip(cell, neuropil, out, strict=True):
        change.compute_dff(one, other, dff)
    # 100 counts over a raw rest of 200 - 100; the neuropil is not in the denominator.
    np.testing.assert_allclose(out[2050], 1.0, rtol=1e-3)
    np.testing.assert_allclose(out[100], 0.0, atol=1e-3)


def test_dff_of_a_dark_neuron_stays_finite():
    change = DffCalculator(2, RATE_HZ, SETTINGS)
    out = np.empty(2, np.float32)
    for level in (-20.0, -19.0):
        values = np.full(2, level, np.float32)
        change.compute_dff(values, np.zeros(2, np.float32), out)
    np.testing.assert_allclose(out, 0.5)


def test_a_detector_offset_that_is_too_high_does_not_inflate_dim_neurons():
    cell, out = np.full(10, 140, np.float32), np.empty(10, np.float32)
    cell[0] = 101
    change = DffCalculator(10, RATE_HZ, SETTINGS, detector_offset_counts=103.4)
    for rise in (0.0, 5.0):
        change.compute_dff(cell + np.float32(rise), np.zeros(10, np.float32), out)
    # All are 2.5 counts above their mean so far, which is 0.1 above the offset here.
    usual = np.mean(cell + 2.5 - 103.4)
    np.testing.assert_allclose(out[0], 2.5 / (0.1 * usual), rtol=1e-3)


def test_deconvolution_recovers_the_activity():
    rng = np.random.default_rng(0)
    decay = np.exp(-1 / (SETTINGS.indicator_decay_s * RATE_HZ))
    spikes = (rng.random((3000, 8)) < 0.03) * rng.uniform(0.5, 1.5, (3000, 8))
    calcium = spikes.copy()
    for k in range(1, len(calcium)):
        calcium[k] += decay * calcium[k - 1]
    dff = (calcium + rng.normal(0, 0.15, calcium.shape)).astype(np.float32)
    scores = []
    for lag in (0, 8):
        settings = SETTINGS.model_copy(update={"deconvolution_lag_frames": lag})
        deconvolver = Ar1Deconvolver(8, RATE_HZ, settings)
        activity = run(deconvolver.deconvolve_frame, dff)
        assert np.isnan(activity[:lag]).all()
        late = activity[lag:]
        assert (late >= 0).all()
        scores.append(np.corrcoef(late.ravel(), spikes[: len(late)].ravel())[0, 1])
    assert scores[0] > 0.85
    assert scores[1] > scores[0]


def test_an_active_cell_is_separated_from_its_neighbours():
    world = make_field((128, 128))
    rois = world.make_rois()
    extractor = TraceExtractor(rois, make_neuropil_masks(rois, SETTINGS))
    cell, ring = np.empty((2, len(rois)), np.float32)
    still, active = np.zeros((2, len(rois)))
    active[4] = 1.0
    read = []
    for activity in (still, active):
        image = world.render_image(activity=activity).astype(np.float32)
        extractor.extract_traces(image, cell, ring)
        read.append(cell - 0.7 * ring)
    rise = read[1] - read[0]
    assert rise.argmax() == 4
    assert rise[4] > 5 * np.abs(np.delete(rise, 4)).max()
