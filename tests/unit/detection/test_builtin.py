"""Middles and masks of neurons at known places."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rtrecon.detection.builtin import detect
from tests.support import detection_world as world

ALL_PLACES = np.array([place for places in world.PLACES.values() for place in places])


def found_in(recording):
    return detect(recording, world.DIAMETER_PX, world.quiet)


def overlap(roi, truth):
    """Intersection over union of a mask's pixels with the true ones."""
    own = np.zeros(world.SHAPE, bool)
    own[roi[0], roi[1]] = True
    return (own & truth).sum() / (own | truth).sum()


@pytest.fixture(scope="module")
def rois():
    return found_in(world.steady())


def test_all_neurons_are_found_and_nothing_else(rois):
    centers = rois.centers()
    apart = np.linalg.norm(centers[:, None] - ALL_PLACES, axis=2)
    assert len(rois) == len(ALL_PLACES)
    assert apart.min(0).max() < 2
    assert apart.min(1).max() < 2


def test_masks_cover_the_neurons(rois):
    nearest = np.linalg.norm(rois.centers()[:, None] - ALL_PLACES, axis=2).argmin(1)
    for roi, place in zip(rois.pixels(), ALL_PLACES[nearest], strict=True):
        assert overlap(roi, world.true_disc(place)) > 0.6


def test_masks_are_disjoint_weighted_and_numbered(rois):
    flat = rois.rows * world.SHAPE[1] + rois.cols
    assert len(np.unique(flat)) == len(flat)
    assert rois.weights.min() > 0
    assert rois.ids.tolist() == list(range(len(rois)))


def test_an_active_neuron_is_grown_to_its_own_shape():
    """A neuron of 14 x 7 px: a disc of 10 px would miss its ends."""
    recording = world.steady([])
    rows, cols = np.indices(world.SHAPE)
    long = ((rows - 50) / 3.5) ** 2 + ((cols - 60) / 7) ** 2 <= 1
    rng = np.random.default_rng(1)
    trace = (rng.random(world.N_BINS) < 0.1).astype(np.float32)
    recording.bins[:] += 80 * trace[:, None, None] * long
    (roi,) = found_in(
        dataclasses.replace(recording, mean=recording.bins.mean(0))
    ).pixels()
    assert overlap(roi, long) > 0.8


def test_the_border_that_motion_uncovers_has_no_neurons():
    recording = world.steady()
    seen = slice(30, None), slice(0, world.SHAPE[1])
    rois = found_in(dataclasses.replace(recording, seen=seen))
    assert len(rois) == (ALL_PLACES[:, 0] >= 30).sum()


@pytest.mark.parametrize("apart_px", [8, 10, 12])
def test_crowded_neighbours_share_no_pixel_and_both_stay(apart_px):
    recording = world.steady([])
    rng = np.random.default_rng(2)
    for place in ((50, 40), (50, 40 + apart_px)):
        trace = (rng.random(world.N_BINS) < 0.1).astype(np.float32)
        recording.bins[:] += 80 * trace[:, None, None] * world.true_disc(place)
    rois = found_in(dataclasses.replace(recording, mean=recording.bins.mean(0)))
    flat = rois.rows * world.SHAPE[1] + rois.cols
    assert len(np.unique(flat)) == len(flat)
    assert len(rois) == 2


def test_nothing_is_a_set_of_no_neurons():
    rois = found_in(world.steady([]))
    assert len(rois) == 0
    assert rois.shape == world.SHAPE
