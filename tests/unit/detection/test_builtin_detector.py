"""The built-in detector finds centers and masks of neurons at known centers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rtrecon.detection.builtin_detector import detect_neurons
from tests.support import detection_world as world

ALL_CENTERS = np.array([c for centers in world.CENTERS.values() for c in centers])


def find_neurons(recording):
    return detect_neurons(recording, world.DIAMETER_PX, world.ignore_progress)


def overlap(roi, truth):
    """Intersection over union of a mask's pixels with the true ones."""
    mask = np.zeros(world.SHAPE, bool)
    mask[roi[0], roi[1]] = True
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.fixture(scope="module")
def rois():
    return find_neurons(world.make_movie())


def test_all_neurons_are_found_and_no_others(rois):
    centers = rois.compute_centers()
    distance_px = np.linalg.norm(centers[:, None] - ALL_CENTERS, axis=2)
    assert len(rois) == len(ALL_CENTERS)
    assert distance_px.min(0).max() < 2
    assert distance_px.min(1).max() < 2


def test_masks_cover_the_neurons(rois):
    nearest = np.linalg.norm(
        rois.compute_centers()[:, None] - ALL_CENTERS, axis=2
    ).argmin(1)
    for roi, center in zip(rois.list_pixels(), ALL_CENTERS[nearest], strict=True):
        assert overlap(roi, world.make_disc(center)) > 0.6


def test_masks_are_disjoint_weighted_and_numbered(rois):
    flat = rois.rows * world.SHAPE[1] + rois.cols
    assert len(np.unique(flat)) == len(flat)
    assert rois.weights.min() > 0
    assert rois.ids.tolist() == list(range(len(rois)))


def test_the_mask_of_an_active_neuron_has_the_shape_of_the_neuron():
    """A neuron of 14 x 7 px: a disc of 10 px would miss its ends."""
    recording = world.make_movie([])
    rows, cols = np.indices(world.SHAPE)
    long = ((rows - 50) / 3.5) ** 2 + ((cols - 60) / 7) ** 2 <= 1
    rng = np.random.default_rng(1)
    trace = (rng.random(world.N_BINS) < 0.1).astype(np.float32)
    recording.bins[:] += 80 * trace[:, None, None] * long
    (roi,) = find_neurons(
        dataclasses.replace(recording, mean=recording.bins.mean(0))
    ).list_pixels()
    assert overlap(roi, long) > 0.8


def test_no_neuron_is_found_in_a_border_that_motion_hides():
    recording = world.make_movie()
    visible = slice(30, None), slice(0, world.SHAPE[1])
    rois = find_neurons(dataclasses.replace(recording, visible=visible))
    assert len(rois) == (ALL_CENTERS[:, 0] >= 30).sum()


@pytest.mark.parametrize("distance_between_px", [8, 10, 12])
def test_two_neighboring_neurons_are_both_found_and_share_no_pixel(distance_between_px):
    recording = world.make_movie([])
    rng = np.random.default_rng(2)
    for center in ((50, 40), (50, 40 + distance_between_px)):
        trace = (rng.random(world.N_BINS) < 0.1).astype(np.float32)
        recording.bins[:] += 80 * trace[:, None, None] * world.make_disc(center)
    rois = find_neurons(dataclasses.replace(recording, mean=recording.bins.mean(0)))
    flat = rois.rows * world.SHAPE[1] + rois.cols
    assert len(np.unique(flat)) == len(flat)
    assert len(rois) == 2


def test_a_field_of_noise_gives_an_empty_roi_set():
    rois = find_neurons(world.make_movie([]))
    assert len(rois) == 0
    assert rois.shape == world.SHAPE
