"""Activity in its place: columns by encoder frame, rows by neuron."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.raster import COLUMNS, MOST_ROWS, ORDERS, Raster


def with_noise(n_neurons: int, n_frames: int) -> Raster:
    raster = Raster(n_neurons)
    rng = np.random.default_rng(0)
    for i in range(n_frames):
        raster.add(i, rng.poisson(1.0, n_neurons).astype(np.float32))
    return raster


def test_newest_is_on_the_right():
    raster = with_noise(5, 400)
    raster.add(400, np.array([50, 0, 0, 0, 50], np.float32))
    picture = raster.picture()
    assert picture.shape == (5, COLUMNS)
    np.testing.assert_array_equal(picture[:, -1], [255, 0, 0, 0, 255])


def test_frames_that_never_came_stay_dark_and_keep_their_place():
    raster = Raster(3)
    for i in [*range(100), *range(110, 120)]:
        raster.add(i, np.full(3, i % 2 * 9.0 + 1, np.float32))
    picture = raster.picture()
    assert not picture[:, -20:-10].any()
    assert picture[:, -10:].any()
    assert picture[:, -30:-20].any()


def test_every_neuron_is_scaled_to_itself_but_a_silent_one_does_not_glow():
    rng = np.random.default_rng(1)
    raster = Raster(21)
    scale = np.geomspace(0.1, 10, 20)
    for i in range(300):
        loud = scale * rng.poisson(1.0, 20)
        raster.add(i, np.array([*loud, 1e-4 * rng.random()], np.float32))
    bright = raster.picture().mean(1)
    assert bright[:20].min() > 20
    assert bright[20] < 2


@pytest.mark.parametrize("n_neurons", [1, MOST_ROWS, MOST_ROWS + 1, 7863])
def test_no_more_rows_than_a_screen_can_show(n_neurons: int):
    raster = with_noise(n_neurons, 3)
    assert raster.rows == len(raster.picture()) <= MOST_ROWS
    assert raster.n_neurons == n_neurons


def test_a_lost_neuron_and_an_empty_ring_are_dark_not_an_error():
    raster = Raster(2)
    assert not raster.picture().any()
    for i in range(50):
        raster.add(i, np.array([np.nan, i % 3], np.float32))
    assert not raster.picture()[0].any()
    assert raster.picture()[1].any()


def test_counting_from_the_start_again_clears_the_past():
    raster = with_noise(4, 200)
    raster.add(0, np.ones(4, np.float32))
    assert not raster.picture()[:, :-1].any()


def test_rows_are_sorted_by_how_busy_they_are():
    raster = Raster(4)
    rng = np.random.default_rng(2)
    often = np.array([0.1, 0.6, 0.3, 0.9])
    for i in range(COLUMNS):
        raster.add(i, (rng.random(4) < often).astype(np.float32))
    raster.sort("busiest on top")
    bright = raster.picture().mean(1)
    assert (np.diff(bright) < 0).all()
    raster.sort("as recorded")
    np.testing.assert_array_equal(np.argsort(raster.picture().mean(1)), [0, 2, 1, 3])


def test_neurons_that_do_alike_become_neighbours():
    raster = Raster(40)
    for i in range(COLUMNS):
        phase = 2 * np.pi * (i / 60 + np.arange(40) % 4 / 4)  # four groups, mixed
        raster.add(i, np.sin(phase).astype(np.float32))
    before = raster.picture().astype(float)
    raster.sort("alike together")
    after = raster.picture().astype(float)
    assert (
        np.abs(np.diff(after, axis=0)).mean()
        < 0.3 * np.abs(np.diff(before, axis=0)).mean()
    )


@pytest.mark.parametrize("n_neurons", [1, 2])
def test_a_raster_of_hardly_anybody_can_be_sorted(n_neurons: int):
    raster = with_noise(n_neurons, 40)
    for order in ORDERS:
        raster.sort(order)
        assert len(raster.picture()) == n_neurons
