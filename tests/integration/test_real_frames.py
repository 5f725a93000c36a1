"""Frames of real recordings: 512 x 512 pixels of a file, and a crop of 256 x 256."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import tifffile
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import shift as moved

from rtrecon.config import (
    FieldMatchSettings,
    RegistrationSettings,
    Settings,
    TracesSettings,
)
from rtrecon.imaging.field_match.affine_search import find_affine_map, make_rotation_map
from rtrecon.imaging.field_match.comparison import compare_fields
from rtrecon.imaging.field_match.mask_orientation import check_transposition
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.registration.registrar import FrameShift, Registrar, make_template
from rtrecon.imaging.registration.scan_phase import estimate_scan_offset
from rtrecon.imaging.traces.detector_offset import estimate_detector_offset
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.rois.roi_set import RoiSet, build_roi_set
from rtrecon.testing.synthetic_field import make_field
from tests.support.paths import TEST_DATA

RECORDING = TEST_DATA / "scanimage" / "replay_real_pixels_synthetic_SI_header.tif"
REGIONS = TEST_DATA / "twophoton" / "neurofinder_regions.json"
CROP = TEST_DATA / "twophoton" / "crop256_600frames_u16.npz"
LIMITS = FieldMatchSettings()
SIDE_PX = 512  # of the recording's frames
MOVES_PX = [(5, -7), (12, 12), (-20, 3), (0, 31), (-31, -31)]
MARGIN_PX = 32
OFFSETS_PX = [0.0, 0.3, 1.0, -2.4]


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    """(frames, 512, 512)."""
    if not RECORDING.exists():
        pytest.skip(f"no real recording at {RECORDING}")
    return tifffile.imread(RECORDING)


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """(600, 256, 256) of another recording."""
    if not CROP.exists():
        pytest.skip(f"no real recording at {CROP}")
    with np.load(CROP) as stored:
        return stored["movie"]


@pytest.fixture(scope="module")
def marked() -> RoiSet:
    """The neurons that experts marked in the recording."""
    if not REGIONS.exists():
        pytest.skip(f"no regions at {REGIONS}")
    points = [np.array(r["coordinates"]).T for r in json.loads(REGIONS.read_text())]
    pixels = [(rows, cols, np.ones(len(rows))) for rows, cols in points]
    return build_roi_set(np.arange(len(pixels)), (SIDE_PX, SIDE_PX), pixels)


def compute_error_px(shift: FrameShift, truth) -> float:
    return float(np.hypot(shift.y_px - truth[0], shift.x_px - truth[1]))


# -- motion -------------------------------------------------------------------------


def test_registration_recovers_a_known_shift_of_a_full_frame():
    """Of a synthetic field of the recording's size, with 2 photons per pixel."""
    rng, field = np.random.default_rng(0), make_field((SIDE_PX, SIDE_PX))
    settings = RegistrationSettings(max_shift_px=20)
    registrar = Registrar(field.render_template(2.0, rng), settings)
    errors_px = []
    for truth in rng.uniform(-18, 18, (10, 2)):
        shift = registrar.estimate_shift(field.render_frame(2.0, rng, truth))
        assert shift.is_accepted
        errors_px.append(compute_error_px(shift, truth))
    assert np.median(errors_px) < 0.035
    assert max(errors_px) < 0.08


@pytest.mark.parametrize("name", ["crop", "recording"])
def test_known_shifts_of_real_frames_are_recovered(request, name):
    movie = request.getfixturevalue(name)
    frames = movie[:: len(movie) // 100]  # 100 frames of either
    inner = np.s_[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    template = make_template(frames[:, *inner])
    registrar = Registrar(template, RegistrationSettings())
    errors_px = []
    for frame, move in product(frames[:8], MOVES_PX):
        before = registrar.estimate_shift(frame[inner])
        after = registrar.estimate_shift(np.roll(frame, move, (0, 1))[inner])
        assert before.is_accepted
        assert after.is_accepted, move
        truth = (before.y_px + move[0], before.x_px + move[1])
        errors_px.append(compute_error_px(after, truth))
    assert np.median(errors_px) < 0.05
    assert max(errors_px) < 0.3


@pytest.mark.parametrize("offset_px", OFFSETS_PX)
def test_a_scan_offset_added_to_real_frames_is_recovered(crop, offset_px):
    mean = crop[:40].mean(0, keepdims=True)
    real_px = estimate_scan_offset(mean).px
    slanted = mean.copy()
    slanted[:, 1::2] = moved(mean[:, 1::2], (0, 0, offset_px), order=3, mode="nearest")
    found = estimate_scan_offset(slanted)
    assert found.px == pytest.approx(real_px + offset_px, abs=0.05)
    assert found.error_px < 0.05


# -- traces -------------------------------------------------------------------------


def test_real_frames_with_negative_pixels_are_processed(recording):
    frames = recording[:60] - np.int16(200)  # as a microscope that takes the offset off
    assert frames.min() < 0
    rng = np.random.default_rng(0)
    grid = np.mgrid[-6:7, -6:7].reshape(2, -1)
    discs = [
        (grid[0] + row, grid[1] + col, np.ones(grid.shape[1]))
        for row, col in rng.integers(8, SIDE_PX - 8, (200, 2))
    ]
    rois = build_roi_set(np.arange(200), (SIDE_PX, SIDE_PX), discs)
    settings = Settings(traces=TracesSettings(deconvolution_lag_frames=0))
    masks = make_cell_masks(rois, settings.traces)
    processor = FrameProcessor(make_template(frames), masks, 30.0, settings)
    samples = [processor.process_frame(frame) for frame in frames]
    assert all(sample.shift.is_accepted for sample in samples)
    shifts_px = np.array([(s.shift.y_px, s.shift.x_px) for s in samples])
    assert np.abs(shifts_px).max() < 3
    assert np.isfinite([s.activity for s in samples]).all()


def test_a_real_recording_has_a_small_detector_offset(crop):
    movie = crop[:60]
    assert abs(estimate_detector_offset(movie).counts) < 0.1 * movie.mean()


# -- the field of another day -------------------------------------------------------


def sample_image(image, matrix) -> np.ndarray:
    """The image moved by the map: a spline evaluated where each pixel comes from."""
    spline = RectBivariateSpline(*map(np.arange, image.shape), image)
    points = np.indices(image.shape).reshape(2, -1).T - matrix[:, 2]
    return spline.ev(*(np.linalg.inv(matrix[:, :2]) @ points.T)).reshape(image.shape)


def move_points(matrix, points) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_a_real_field_that_was_rotated_is_found(recording, marked):
    stored, later = (
        half.mean(0, dtype=np.float32) for half in (recording[:50], recording[50:])
    )
    turn = make_rotation_map(-9.0, 0.92, later.shape, later.shape)
    turn[:, 2] += (-100, 100)
    report = compare_fields(sample_image(later, turn), stored, marked, LIMITS)
    assert report.is_go
    present = np.diff(report.moved_rois.indptr) > 0
    assert np.mean(report.visibility[present] > 0) > 0.9
    # The animal itself moved between the halves, by a fraction of a pixel.
    between, _ = find_affine_map(later, stored, LIMITS)
    assert np.abs(between - np.eye(2, 3)).max() < 0.3
    centers = marked.compute_centers()
    expected = move_points(turn, move_points(between, centers))
    errors_px = np.hypot(*(move_points(report.match.matrix, centers) - expected).T)
    assert np.median(errors_px) < 0.1
    assert errors_px.max() < 0.3


def test_masks_of_a_real_field_are_checked_for_transposition(recording, marked):
    mean = recording.mean(0)
    assert check_transposition(marked, mean) is None
    for notice in (
        check_transposition(marked.transpose(), mean),
        check_transposition(marked, mean.T),
    ):
        assert "look transposed" in notice
        assert "rois.transpose" in notice
    rng = np.random.default_rng(0)
    for _ in range(3):
        offset = tuple(rng.integers(30, SIDE_PX - 30, 2))
        unrelated = np.roll(mean, offset, (0, 1))
        assert check_transposition(marked, unrelated) is None
