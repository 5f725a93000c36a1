"""Today's reference: masks follow the tissue, or stay where they were and are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from rtrecon.config import RegisterSettings, Settings, TracesSettings
from rtrecon.imaging.reference import Known, find_reference, stored_reference
from rtrecon.session.resume_state import load_reference, save_reference
from rtrecon.testing.small_field import field

SHAPE = (256, 256)
SETTINGS = Settings(register_=RegisterSettings(template_frames=20))
MOVED = (11.0, -7.0)


@pytest.fixture(scope="module")
def yesterday():
    """The neurons, and the image they were drawn on."""
    world = field(SHAPE)
    return Known(world.rois(), world.template(2.0, np.random.default_rng(1)))


def frames_of(world, shift=(0.0, 0.0), n=20):
    rng = np.random.default_rng(2)
    return [world.frame(2.0, rng, shift + rng.normal(0, 0.5, 2)) for _ in range(n)]


def test_masks_move_with_the_field(yesterday):
    found = find_reference(frames_of(field(SHAPE), MOVED), yesterday, SETTINGS)
    assert found.report.go
    cells = found.masks.cells
    assert cells.ids.tolist() == yesterday.rois.ids.tolist()
    apart = cells.centers() - (yesterday.rois.centers() + MOVED)
    kept = np.isfinite(apart).all(1)
    assert kept.mean() > 0.8  # some left the field
    assert np.median(np.hypot(*apart[kept].T)) < 1.0
    assert "go" in found.notices[0]


def test_of_another_field_the_stored_one_stays_the_reference(yesterday):
    found = find_reference(frames_of(field(SHAPE, seed=9)), yesterday, SETTINGS)
    assert not found.report.go
    assert found.template is yesterday.image
    np.testing.assert_array_equal(found.masks.cells.rows, yesterday.rois.rows)
    assert "no-go" in found.notices[0]


def test_masks_drawn_today_stay_where_they_are(yesterday):
    today = Known(yesterday.rois, None)
    found = find_reference(frames_of(field(SHAPE)), today, SETTINGS)
    assert found.report is None
    assert found.today is found.template
    assert found.notices == ()
    np.testing.assert_array_equal(found.masks.cells.rows, yesterday.rois.rows)


def test_masks_that_lie_across_the_tissue_are_told():
    world = field((240, 260))
    rois = world.rois()
    across = replace(rois, rows=rois.cols, cols=rois.rows)
    inside = [k for k, (r, c, _) in enumerate(across.pixels()) if r.max() < 240]
    found = find_reference(
        frames_of(world), Known(across.subset(np.array(inside)), None), SETTINGS
    )
    assert any("rois.transpose" in notice for notice in found.notices)


def test_neurons_hidden_under_others_are_told(yesterday):
    traces = TracesSettings(overlap="exclude")
    settings = SETTINGS.model_copy(update={"traces": traces})
    rois = yesterday.rois
    twice = rois.subset(np.array([0, 1]))
    double = replace(
        twice,
        ids=np.array([1, 2]),
        rows=np.concatenate([twice.rows[: twice.indptr[1]]] * 2),
        cols=np.concatenate([twice.cols[: twice.indptr[1]]] * 2),
        weights=np.concatenate([twice.weights[: twice.indptr[1]]] * 2),
        indptr=twice.indptr[1] * np.arange(3),
    )
    found = stored_reference(Known(double, yesterday.image), settings)
    assert any("share all their pixels" in notice for notice in found.notices)


def test_odd_lines_scanned_too_far_right_are_put_straight(tmp_path):
    today = Known(field(SHAPE).rois(), None)
    frames = frames_of(field(SHAPE))
    for frame in frames:
        frame[1::2] = np.roll(frame[1::2], 2, axis=1)
    found = find_reference(frames, today, SETTINGS)
    assert found.scan_offset_px == pytest.approx(2.0, abs=0.1)
    inner = np.s_[20:-20, 20:-20]
    likeness = np.corrcoef(
        found.template[inner].ravel(), field(SHAPE).image()[inner].ravel()
    )
    assert likeness[0, 1] > 0.95
    left = SETTINGS.register_.model_copy(update={"bidirectional": "off"})
    as_it_is = SETTINGS.model_copy(update={"register_": left})
    assert find_reference(frames, today, as_it_is).scan_offset_px == 0


def in_stack(folder, n_planes=5):
    """A stack in whose middle the field lies; others go into it and out of it."""
    worlds = [field(SHAPE, seed=10 + k) for k in range(n_planes // 2 + 1)]
    images = [0.0] * n_planes
    for k in range(n_planes):
        share = abs(k - n_planes // 2) / (n_planes // 2 + 1)
        other = worlds[0] if k < n_planes // 2 else worlds[1]
        images[k] = (1 - share) * field(SHAPE).image() + share * other.image()
    path = folder / "stack.tif"
    tifffile.imwrite(path, (200 * np.array(images)).astype(np.uint16))
    return path


def with_stack(path):
    register = {"z_stack": str(path), "z_step_um": 5.0}
    register = SETTINGS.register_.model_copy(update=register)
    return SETTINGS.model_copy(update={"register_": register})


def test_a_stack_tells_the_depth_and_is_kept_for_a_restart(tmp_path):
    settings, known = with_stack(in_stack(tmp_path)), Known(field(SHAPE).rois(), None)
    found = find_reference(frames_of(field(SHAPE)), known, settings)
    assert found.notices == ()
    assert found.depth.step == 5.0
    path = tmp_path / "reference_plane0.npz"
    save_reference(path, found, known)
    again, _ = load_reference(path, settings)
    np.testing.assert_array_equal(
        again.depth.planes.patterns, found.depth.planes.patterns
    )
    assert replace(again.depth.planes, patterns=None) == replace(
        found.depth.planes, patterns=None
    )


def test_a_stack_that_cannot_be_used_costs_no_more_than_the_depth(tmp_path):
    settings = with_stack(tmp_path / "gone.tif")
    found = find_reference(
        frames_of(field(SHAPE)), Known(field(SHAPE).rois(), None), settings
    )
    assert found.depth is None
    assert any("z drift cannot be told" in notice for notice in found.notices)


def test_the_dark_level_is_told_from_the_noise():
    traces = TracesSettings(offset_counts="auto")
    settings = SETTINGS.model_copy(update={"traces": traces})
    frames = [frame + 300 for frame in frames_of(field(SHAPE))]
    found = find_reference(frames, Known(field(SHAPE).rois(), None), settings)
    assert found.offset_counts == pytest.approx(300, abs=15)
    assert any("counts are read in the dark" in notice for notice in found.notices)
    told = SETTINGS.model_copy(update={"traces": TracesSettings(offset_counts=12.5)})
    image = field(SHAPE).template(2.0, np.random.default_rng(1))
    assert (
        stored_reference(Known(field(SHAPE).rois(), image), told).offset_counts == 12.5
    )


def test_no_reference_without_light(yesterday):
    dark = [np.zeros(SHAPE, np.int16)] * 12
    with pytest.raises(ValueError, match="all 12 frames are constant"):
        find_reference(dark, yesterday, SETTINGS)
