"""Fields of another day: turned, zoomed, shifted, dimmer, with some neurons gone."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import binary_fill_holes, label

from rtrecon.config import FieldMatchSettings
from rtrecon.core.errors import UserError
from rtrecon.imaging.field_match.affine_search import make_rotation_map
from rtrecon.imaging.field_match.comparison import compare_fields, judge_match
from rtrecon.imaging.field_match.match import (
    FieldMatch,
    compute_visibility,
    match_field,
    move_rois,
)
from rtrecon.rois.roi_set import RoiSet, build_roi_set
from rtrecon.simulate import render
from rtrecon.simulate.microscope import ImagedField, make_imaged_field

SIDE_PX, MARGIN_PX = 200, 50  # of an image, and of what is known around it
SHAPE = (SIDE_PX, SIDE_PX)
LIMITS = FieldMatchSettings()
# For what does not depend on the range of the search: few rotations and scales.
NARROW = FieldMatchSettings(max_rotation_deg=2.5, max_scale=1.03)

# rotation in deg, scale, shift (y, x) in px, shear
MAPS = {
    "identity": (0.0, 1.0, (0.0, 0.0), 0.0),
    "a little": (0.8, 1.01, (2.0, -2.4), 0.0),
    "sheared": (-2.0, 0.99, (5.5, 8.0), 0.02),
    "turned": (9.8, 1.0, (0.0, 0.0), 0.0),
    "larger": (0.0, 1.1, (0.0, 0.0), 0.0),
    "smaller, turned": (-9.8, 0.9, (0.0, 1.7), 0.0),
    "shifted": (0.0, 1.0, (-48.5, 46.3), 0.0),
    "all at once": (7.3, 0.93, (31.2, -43.7), 0.01),
    "all at once, back": (-8.9, 1.08, (-39.1, -26.4), 0.01),
}
PLAIN = MAPS["a little"]


def map_of(rotation_deg, scale, shift, shear) -> np.ndarray:
    matrix = make_rotation_map(rotation_deg, scale, SHAPE, SHAPE)
    matrix[:, :2] = matrix[:, :2] @ np.array([[1 + shear, 0], [0, 1]])
    middle = (SIDE_PX - 1) / 2
    matrix[:, 2] = middle + np.array(shift) - matrix[:, :2] @ [middle, middle]
    return matrix


def moved_points(matrix, points) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def sample(image, matrix, shape) -> np.ndarray:
    """The image moved by the map: a spline evaluated where each pixel comes from."""
    spline = RectBivariateSpline(*map(np.arange, image.shape), image)
    points = np.indices(shape).reshape(2, -1).T - matrix[:, 2]
    return spline.ev(*(np.linalg.inv(matrix[:, :2]) @ points.T)).reshape(shape)


@dataclass(frozen=True)
class World:
    """A field larger than the image of it, and the image stored on the first day."""

    field: ImagedField
    stored: np.ndarray
    rois: RoiSet

    def today(self, matrix, seed=1, gone=(), shape=SHAPE) -> np.ndarray:
        """Another day: 0.6 of the light, uneven; every tenth neuron much changed."""
        rng = np.random.default_rng(seed)
        lit = self.field.brightness * np.exp(0.15 * rng.normal(size=len(self.all_ids)))
        lit[::10] *= np.exp(rng.normal(size=len(lit[::10])))
        lit[list(gone)] = 0
        light = 0.6 * scene(self.field, lit)
        light *= np.linspace(0.7, 1.3, len(light))[:, None]
        return shoot(light, matrix, 60, rng, shape)

    @property
    def all_ids(self) -> np.ndarray:
        return self.field.masks.ids


def scene(field, brightness) -> np.ndarray:
    masks, still = field.masks, np.zeros(field.neuropil_weights.shape[1:], np.float32)
    pixels = masks.indptr, masks.rows, masks.cols, masks.weights
    return render.render_light(
        field.tissue, still, *pixels, brightness.astype(np.float32)
    )


def shoot(light, matrix, frames, rng, shape=SHAPE) -> np.ndarray:
    """Mean of frames of the middle of the scene, in counts."""
    inner = matrix.copy()
    inner[:, 2] -= matrix[:, :2] @ [MARGIN_PX, MARGIN_PX]
    photons = rng.poisson(frames * np.maximum(sample(light, inner, shape), 0))
    noise = rng.normal(0, 12 / np.sqrt(frames), shape)
    return (40 + 60 * photons / frames + noise).astype(np.float32)


def make_world(seed) -> World:
    field = make_imaged_field(300, SIDE_PX + 2 * MARGIN_PX, seed)
    light = scene(field, field.brightness)
    stored = shoot(light, map_of(*MAPS["identity"]), 200, np.random.default_rng(seed))
    ids, pixels = [], []
    for roi_id, (rows, cols, weights) in enumerate(field.masks.list_pixels()):
        rows, cols = rows - MARGIN_PX, cols - MARGIN_PX
        if min(rows.min(), cols.min()) >= 0 and max(rows.max(), cols.max()) < SIDE_PX:
            ids.append(roi_id)
            pixels.append((rows, cols, weights))
    return World(field, stored, build_roi_set(np.array(ids), SHAPE, pixels))


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1)


@pytest.mark.parametrize("name", MAPS)
def test_the_map_between_two_days_is_recovered(world, name):
    truth = map_of(*MAPS[name])
    match = match_field(world.today(truth), world.stored, LIMITS)
    centers = world.rois.compute_centers()
    misses = moved_points(match.matrix, centers) - moved_points(truth, centers)
    errors_px = np.hypot(*misses.T)
    assert match.is_found
    assert not match.is_mirrored
    assert match.correlation > 5 * match.chance_correlation
    assert np.median(errors_px) < 0.08
    assert errors_px.max() < 0.15


def test_a_match_gives_shift_rotation_scale_and_shear():
    rotation_deg, scale, shift, shear = MAPS["all at once"]
    match = FieldMatch(map_of(rotation_deg, scale, shift, 0.0), 0.9, 0.1, SHAPE, SHAPE)
    assert match.shift_px == pytest.approx(shift)
    assert match.rotation_deg == pytest.approx(rotation_deg)
    assert match.scale == pytest.approx(scale)
    assert match.shear == pytest.approx(0, abs=1e-9)
    sheared = FieldMatch(map_of(0.0, 1.0, (0, 0), shear), 0.9, 0.1, SHAPE, SHAPE)
    assert sheared.shear == pytest.approx(shear)
    # Clockwise as seen: what was right of the middle lies below it.
    right, middle = np.array([99.5, 199.5, 1]), np.array([99.5, 99.5, 1])
    quarter = make_rotation_map(90, 1.0, SHAPE, SHAPE)
    np.testing.assert_allclose(quarter @ right - quarter @ middle, (100, 0), atol=1e-9)


@pytest.mark.parametrize("shape", [(200, 160), (240, 240)])
def test_todays_image_may_have_another_shape(world, shape):
    truth = map_of(*PLAIN)
    today = world.today(truth, shape=shape)
    report = compare_fields(today, world.stored, world.rois, NARROW)
    centers = world.rois.compute_centers()
    misses = moved_points(report.match.matrix, centers) - moved_points(truth, centers)
    assert np.hypot(*misses.T).max() < 0.15
    assert report.moved_rois.shape == shape


# name -> words of the sentence
DIFFERENT_FIELDS = {
    "another field": "not in today's image .*another field or depth; move the obj",
    "beyond the range": "not in today's image",
    "beside it": "not in today's image",
    "mirrored": "only in a mirror .*scan direction flipped",
    "noise": "not in today's image",
}


@pytest.mark.parametrize("name", DIFFERENT_FIELDS)
def test_a_different_field_is_a_no_go(world, name):
    rng = np.random.default_rng(4)
    straight = world.today(map_of(*PLAIN))
    today = {
        "another field": lambda: make_world(7).today(map_of(*PLAIN)),
        "beyond the range": lambda: world.today(map_of(24.0, 1.0, (0, 0), 0.0)),
        "beside it": lambda: world.today(map_of(0.0, 1.0, (0, 240.0), 0.0)),
        "mirrored": lambda: straight[:, ::-1],
        "noise": lambda: rng.normal(100, 10, SHAPE),
    }[name]()
    report = compare_fields(today, world.stored, world.rois, LIMITS)
    assert not report.is_go
    assert not report.match.is_found
    assert not report.visibility.any()
    assert not report.is_outside.any()
    assert re.search(DIFFERENT_FIELDS[name], report.summary)


def test_the_search_range_can_be_limited(world):
    today = world.today(map_of(*MAPS["smaller, turned"]))
    assert not match_field(today, world.stored, NARROW).is_found


def test_neurons_keep_their_ids_and_those_outside_are_reported(world):
    truth = map_of(*MAPS["all at once"])
    report = compare_fields(world.today(truth), world.stored, world.rois, LIMITS)
    centers = moved_points(truth, world.rois.compute_centers())
    well_inside = ((centers > 8) & (centers < SIDE_PX - 9)).all(1)
    well_outside = ((centers < -2) | (centers > SIDE_PX + 1)).any(1)
    assert report.is_go
    assert report.summary.startswith("go: ")
    assert f"{report.is_outside.sum()} outside the field" in report.summary
    assert report.moved_rois.ids.tolist() == world.rois.ids.tolist()
    assert report.is_outside[well_outside].all()
    assert not report.is_outside[well_inside].any()
    assert not report.visibility[report.is_outside].any()
    errors = report.moved_rois.compute_centers()[well_inside] - centers[well_inside]
    assert np.hypot(*errors.T).max() < 0.2


def disc(row, col, radius):
    rows, cols = np.nonzero(
        np.hypot(*(np.indices(SHAPE) - np.array([row, col])[:, None, None])) <= radius
    )
    return rows, cols, np.random.default_rng(0).uniform(1, 2, len(rows))


def straight_match(matrix) -> FieldMatch:
    return FieldMatch(matrix, 0.9, 0.1, SHAPE, SHAPE)


def test_masks_do_not_change_where_nothing_moved(world):
    same = move_rois(world.rois, straight_match(map_of(*MAPS["identity"])))
    assert same.rows.tolist() == world.rois.rows.tolist()
    assert same.cols.tolist() == world.rois.cols.tolist()
    np.testing.assert_allclose(same.weights, world.rois.weights, rtol=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_a_moved_mask_has_no_holes_and_the_right_position(name):
    pixels = [disc(94, 100, radius) for radius in (0.0, 1.0, 5.0, 12.0)]
    rois = build_roi_set(np.array([9, 3, 7, 1]), SHAPE, pixels, np.array([0, 2, 1, 0]))
    truth = map_of(*MAPS[name])
    moved = move_rois(rois, straight_match(truth))
    assert moved.ids.tolist() == [9, 3, 7, 1]
    assert moved.planes.tolist() == [0, 2, 1, 0]
    growth = np.linalg.det(truth[:, :2])
    expected = moved_points(truth, rois.compute_centers())
    np.testing.assert_allclose(moved.compute_centers(), expected, atol=0.5)
    np.testing.assert_allclose(moved.compute_centers()[2:], expected[2:], atol=0.25)
    for (rows, cols, weights), before in zip(moved.list_pixels(), pixels, strict=True):
        mask = np.zeros(SHAPE, bool)
        mask[rows, cols] = True
        assert weights.sum() == pytest.approx(1)
        assert label(mask)[1] == 1
        assert (binary_fill_holes(mask) == mask).all()
        assert len(rows) == pytest.approx(growth * len(before[0]), rel=0.1, abs=4)


def test_a_mask_is_dropped_once_half_of_it_is_outside():
    rois = build_roi_set(
        np.arange(2), SHAPE, [disc(100, 20, 6), (np.empty(0, int),) * 3]
    )
    sizes = []
    for left in (0, 13, 17, 19.4, 20.6, 40):
        moved = move_rois(rois, straight_match(map_of(0.0, 1.0, (0, -left), 0.0)))
        sizes.append(np.diff(moved.indptr).tolist())
    whole = len(disc(100, 20, 6)[0])
    assert [size[0] for size in sizes[:2]] == [whole, whole]
    assert whole > sizes[2][0] > sizes[3][0] >= whole / 2
    assert [size[0] for size in sizes[4:]] == [0, 0]
    assert [size[1] for size in sizes] == [0] * 6


def test_a_neuron_that_is_gone_is_not_visible(world):
    gone = world.rois.ids[5::8]
    truth = map_of(*PLAIN)
    today = world.today(truth, gone=gone)
    match = straight_match(truth)
    moved = move_rois(world.rois, match)
    seen = compute_visibility(moved, today, world.stored, match)
    here = np.diff(moved.indptr) > 0
    is_gone = np.isin(moved.ids, gone)
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert np.mean(seen[here & ~is_gone] > 0) > 0.95
    assert np.median(seen[here & ~is_gone]) > 0.8
    assert np.mean(seen[here & is_gone] > 0) < 0.25


# correlation, by chance, shift, visible, hidden and outside of 100 -> words
VERDICTS = {
    "all": (0.9, 0.1, (3, -4), 100, 0, 0, "^go: 100 of 100 .*moved by 5.0 px"),
    "most": (0.9, 0.1, (0, 0), 55, 25, 20, "^go: 55 of 100 .*; 20 outside the field$"),
    "too far": (0.9, 0.1, (-60, 9), 40, 10, 50, "^no-go: .*by .60 lines and -9 pixels"),
    "other depth": (0.3, 0.1, (0, 0), 40, 50, 10, "^no-go: .*change the depth"),
    "different field": (
        0.11,
        0.1,
        (0, 0),
        90,
        10,
        0,
        "^no-go: .* 0.11, by chance 0.10",
    ),
    "in a mirror": (0.1, 0.8, (0, 0), 0, 100, 0, "^no-go: .*mirror"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_decision_is_a_sentence_with_numbers(name):
    correlation, by_chance, shift, visible, hidden, left, words = VERDICTS[name]
    match = FieldMatch(
        map_of(0.0, 1.0, shift, 0.0), correlation, by_chance, SHAPE, SHAPE
    )
    seen = np.repeat([0.7, 0.0, 0.0], [visible, hidden, left])
    outside = np.arange(100) >= visible + hidden
    go, sentence = judge_match(match, seen, outside, LIMITS)
    assert go == sentence.startswith("go: ")
    assert re.search(words, sentence)


def test_a_report_can_be_saved(world):
    report = compare_fields(
        world.today(map_of(*PLAIN)), world.stored, world.rois, NARROW
    )
    saved = json.loads(json.dumps(report.to_json()))
    assert saved["go"] is True
    assert saved["summary"] == report.summary
    assert saved["rotation_deg"] == pytest.approx(PLAIN[0], abs=0.05)
    assert saved["ids"] == world.rois.ids.tolist()
    assert len(saved["visibility"]) == len(saved["outside"]) == len(world.rois)


def test_a_field_without_neurons_is_compared_as_well(world):
    nobody = build_roi_set(np.empty(0, int), SHAPE, [])
    report = compare_fields(world.today(map_of(*PLAIN)), world.stored, nobody, NARROW)
    assert report.summary.startswith("go: 0 of 0 neurons visible, moved by 3.")


BLANK = {
    "constant": (np.full(SHAPE, 7.0), "constant"),
    "not finite": (np.full(SHAPE, np.nan), "not finite"),
    "a line": (np.arange(256.0)[None], r"shape \(1, 256\)"),
}


@pytest.mark.parametrize("name", BLANK)
def test_blank_images_are_refused(world, name):
    image, words = BLANK[name]
    with pytest.raises(ValueError, match=f"today's image .*{words}"):
        match_field(image, world.stored, LIMITS)
    with pytest.raises(ValueError, match=f"the stored image .*{words}"):
        match_field(world.stored, image, LIMITS)


def test_masks_of_another_image_are_refused(world):
    with pytest.raises(UserError, match="store both from the same recording"):
        compare_fields(world.stored, world.stored[:150], world.rois, LIMITS)
