"""The raster: columns by encoder frame, rows by neuron, and the order of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.panel_states.activity import (
    MAX_ROWS,
    N_COLUMNS,
    ROW_ORDERS,
    Raster,
)


def make_noisy_raster(n_neurons: int, n_frames: int) -> Raster:
    raster = Raster(n_neurons)
    rng = np.random.default_rng(0)
    for i in range(n_frames):
        raster.add_frame(i, rng.poisson(1.0, n_neurons).astype(np.float32))
    return raster


def test_the_newest_frame_is_the_last_column():
    raster = make_noisy_raster(5, 400)
    raster.add_frame(400, np.array([50, 0, 0, 0, 50], np.float32))
    image = raster.to_image()
    assert image.shape == (5, N_COLUMNS)
    np.testing.assert_array_equal(image[:, -1], [255, 0, 0, 0, 255])


def test_frames_that_were_not_received_are_dark_columns():
    raster = Raster(3)
    for i in [*range(100), *range(110, 120)]:
        raster.add_frame(i, np.full(3, i % 2 * 9.0 + 1, np.float32))
    image = raster.to_image()
    assert not image[:, -20:-10].any()
    assert image[:, -10:].any()
    assert image[:, -30:-20].any()


def test_each_neuron_is_scaled_to_its_own_range_but_silent_ones_stay_dark():
    rng = np.random.default_rng(1)
    raster = Raster(21)
    scale = np.geomspace(0.1, 10, 20)
    for i in range(300):
        active = scale * rng.poisson(1.0, 20)
        raster.add_frame(i, np.array([*active, 1e-4 * rng.random()], np.float32))
    brightness = raster.to_image().mean(1)
    assert brightness[:20].min() > 20
    assert brightness[20] < 2


@pytest.mark.parametrize("n_neurons", [1, MAX_ROWS, MAX_ROWS + 1, 7863])
def test_the_raster_has_no_more_rows_than_a_screen_can_show(n_neurons: int):
    raster = make_noisy_raster(n_neurons, 3)
    assert raster.n_rows == len(raster.to_image()) <= MAX_ROWS
    assert raster.n_neurons == n_neurons


def test_lost_neurons_and_an_empty_raster_are_dark():
    raster = Raster(2)
    assert not raster.to_image().any()
    for i in range(50):
        raster.add_frame(i, np.array([np.nan, i % 3], np.float32))
    assert not raster.to_image()[0].any()
    assert raster.to_image()[1].any()


def test_a_frame_count_that_starts_again_clears_the_raster():
    raster = make_noisy_raster(4, 200)
    raster.add_frame(0, np.ones(4, np.float32))
    assert not raster.to_image()[:, :-1].any()


def test_rows_can_be_sorted_by_activity_and_back():
    raster = Raster(4)
    rng = np.random.default_rng(2)
    probability = np.array([0.1, 0.6, 0.3, 0.9])
    for i in range(N_COLUMNS):
        raster.add_frame(i, (rng.random(4) < probability).astype(np.float32))
    raster.sort_rows("most active on top")
    assert (np.diff(raster.to_image().mean(1)) < 0).all()
    raster.sort_rows("as recorded")
    brightness = raster.to_image().mean(1)
    np.testing.assert_array_equal(np.argsort(brightness), [0, 2, 1, 3])


def test_similar_neurons_become_neighbours():
    raster = Raster(40)
    for i in range(N_COLUMNS):
        phase = 2 * np.pi * (i / 60 + np.arange(40) % 4 / 4)  # four groups, mixed
        raster.add_frame(i, np.sin(phase).astype(np.float32))
    before = raster.to_image().astype(float)
    raster.sort_rows("similar together")
    after = raster.to_image().astype(float)
    difference_before = np.abs(np.diff(before, axis=0)).mean()
    assert np.abs(np.diff(after, axis=0)).mean() < 0.3 * difference_before


@pytest.mark.parametrize("n_neurons", [1, 2])
def test_a_raster_of_one_or_two_neurons_can_be_sorted(n_neurons: int):
    raster = make_noisy_raster(n_neurons, 40)
    for order in ROW_ORDERS:
        raster.sort_rows(order)
        assert len(raster.to_image()) == n_neurons
