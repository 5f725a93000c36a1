"""The reference of a session: masks follow the tissue, or stay on the stored field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from rtrecon.config import (
    FieldMatchSettings,
    RegistrationSettings,
    Settings,
    TracesSettings,
)
from rtrecon.imaging.reference import (
    StoredField,
    build_reference,
    build_stored_reference,
)
from rtrecon.session.resume_state import load_reference, save_reference
from rtrecon.testing.synthetic_field import make_field

SHAPE = (128, 128)
# Few rotations and scales to search: no field here is rotated or scaled.
SETTINGS = Settings(
    registration=RegistrationSettings(template_frames=20),
    field_match=FieldMatchSettings(max_rotation_deg=2.5, max_scale=1.03),
)
MOVED = (11.0, -7.0)


@pytest.fixture(scope="module")
def yesterday():
    """The neurons, and the image they were drawn on."""
    world = make_field(SHAPE)
    return StoredField(
        world.make_rois(), world.render_template(2.0, np.random.default_rng(1))
    )


def make_frames(world, shift=(0.0, 0.0), photons=2.0):
    rng = np.random.default_rng(2)
    shifts = shift + rng.normal(0, 0.5, (20, 2))
    return [world.render_frame(photons, rng, shift) for shift in shifts]


def test_masks_move_with_the_field(yesterday):
    found = build_reference(make_frames(make_field(SHAPE), MOVED), yesterday, SETTINGS)
    assert found.field_report.is_go
    cells = found.masks.cells
    assert cells.ids.tolist() == yesterday.rois.ids.tolist()
    apart = cells.compute_centers() - (yesterday.rois.compute_centers() + MOVED)
    kept = np.isfinite(apart).all(1)
    assert kept.mean() > 0.8  # some left the field
    assert np.median(np.hypot(*apart[kept].T)) < 1.0
    assert "go" in found.notices[0]


def test_on_a_different_field_the_stored_field_stays_the_reference(yesterday):
    found = build_reference(make_frames(make_field(SHAPE, seed=9)), yesterday, SETTINGS)
    assert not found.field_report.is_go
    assert found.template is yesterday.stored_image
    np.testing.assert_array_equal(found.masks.cells.rows, yesterday.rois.rows)
    assert "no-go" in found.notices[0]


def test_masks_drawn_today_are_not_moved(yesterday):
    today = StoredField(yesterday.rois, None)
    found = build_reference(make_frames(make_field(SHAPE)), today, SETTINGS)
    assert found.field_report is None
    assert found.current_image is found.template
    assert found.notices == ()
    np.testing.assert_array_equal(found.masks.cells.rows, yesterday.rois.rows)


def test_transposed_masks_give_a_notice():
    world = make_field((120, 130))
    rois = world.make_rois()
    across = replace(rois, rows=rois.cols, cols=rois.rows)
    inside = [k for k, (r, c, _) in enumerate(across.list_pixels()) if r.max() < 120]
    found = build_reference(
        make_frames(world),
        StoredField(across.select_neurons(np.array(inside)), None),
        SETTINGS,
    )
    assert any("rois.transpose" in notice for notice in found.notices)


def test_neurons_that_share_all_pixels_give_a_notice(yesterday):
    traces = TracesSettings(overlap="exclude")
    settings = SETTINGS.model_copy(update={"traces": traces})
    rois = yesterday.rois
    twice = rois.select_neurons(np.array([0, 1]))
    double = replace(
        twice,
        ids=np.array([1, 2]),
        rows=np.concatenate([twice.rows[: twice.indptr[1]]] * 2),
        cols=np.concatenate([twice.cols[: twice.indptr[1]]] * 2),
        weights=np.concatenate([twice.weights[: twice.indptr[1]]] * 2),
        indptr=twice.indptr[1] * np.arange(3),
    )
    found = build_stored_reference(
        StoredField(double, yesterday.stored_image), settings
    )
    assert any("share all their pixels" in notice for notice in found.notices)


def test_an_offset_of_odd_lines_is_measured_and_corrected(tmp_path):
    today = StoredField(make_field(SHAPE).make_rois(), None)
    frames = make_frames(make_field(SHAPE), photons=10.0)
    for frame in frames:
        frame[1::2] = np.roll(frame[1::2], 2, axis=1)
    found = build_reference(frames, today, SETTINGS)
    assert found.scan_offset_px == pytest.approx(2.0, abs=0.1)
    inner = np.s_[20:-20, 20:-20]
    likeness = np.corrcoef(
        found.template[inner].ravel(), make_field(SHAPE).render_image()[inner].ravel()
    )
    assert likeness[0, 1] > 0.95
    left = SETTINGS.registration.model_copy(update={"scan_phase": "off"})
    as_it_is = SETTINGS.model_copy(update={"registration": left})
    assert build_reference(frames, today, as_it_is).scan_offset_px == 0


def write_stack(folder, n_planes=5):
    """A stack in whose middle the field lies; others go into it and out of it."""
    worlds = [make_field(SHAPE, seed=10 + k) for k in range(n_planes // 2 + 1)]
    images = [0.0] * n_planes
    for k in range(n_planes):
        share = abs(k - n_planes // 2) / (n_planes // 2 + 1)
        other = worlds[0] if k < n_planes // 2 else worlds[1]
        images[k] = (1 - share) * make_field(
            SHAPE
        ).render_image() + share * other.render_image()
    path = folder / "stack.tif"
    tifffile.imwrite(path, (200 * np.array(images)).astype(np.uint16))
    return path


def settings_with_stack(path):
    register = {"z_stack": str(path), "z_step_um": 5.0}
    register = SETTINGS.registration.model_copy(update=register)
    return SETTINGS.model_copy(update={"registration": register})


def test_a_stack_gives_the_depth_and_is_saved_for_a_restart(tmp_path):
    settings, known = (
        settings_with_stack(write_stack(tmp_path)),
        StoredField(make_field(SHAPE).make_rois(), None),
    )
    found = build_reference(make_frames(make_field(SHAPE)), known, settings)
    assert found.notices == ()
    assert found.depth_reference.plane_distance == 5.0
    path = tmp_path / "reference_plane0.npz"
    save_reference(path, found, known)
    again, _ = load_reference(path, settings)
    np.testing.assert_array_equal(
        again.depth_reference.stack.patterns, found.depth_reference.stack.patterns
    )
    assert replace(again.depth_reference.stack, patterns=None) == replace(
        found.depth_reference.stack, patterns=None
    )


def test_without_a_usable_stack_only_the_depth_is_missing(tmp_path):
    settings = settings_with_stack(tmp_path / "gone.tif")
    found = build_reference(
        make_frames(make_field(SHAPE)),
        StoredField(make_field(SHAPE).make_rois(), None),
        settings,
    )
    assert found.depth_reference is None
    assert any("z drift cannot be measured" in notice for notice in found.notices)


def test_the_detector_offset_is_estimated_from_noise():
    traces = TracesSettings(detector_offset_counts="auto")
    settings = SETTINGS.model_copy(update={"traces": traces})
    frames = [frame + 300 for frame in make_frames(make_field(SHAPE))]
    found = build_reference(
        frames, StoredField(make_field(SHAPE).make_rois(), None), settings
    )
    assert found.detector_offset_counts == pytest.approx(300, abs=15)
    assert any("detector offset is" in notice for notice in found.notices)
    settings = SETTINGS.model_copy(
        update={"traces": TracesSettings(detector_offset_counts=12.5)}
    )
    image = make_field(SHAPE).render_template(2.0, np.random.default_rng(1))
    assert (
        build_stored_reference(
            StoredField(make_field(SHAPE).make_rois(), image), settings
        ).detector_offset_counts
        == 12.5
    )


def test_constant_frames_give_no_reference(yesterday):
    frames = [np.zeros(SHAPE, np.int16)] * 12
    with pytest.raises(ValueError, match="all 12 frames are constant"):
        build_reference(frames, yesterday, SETTINGS)
