"""A simulated film is registered and traced, and compared with its truth."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from rtrecon.config.dish import DishSettings
from rtrecon.dish.dish_frame import LOOSE
from rtrecon.dish.tracker import DishTracker
from rtrecon.imaging.registration.film_registrar import FilmRegistrar
from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import DishScene
from tests.support.paths import TEST_DATA

REAL_FILM = TEST_DATA / "dish" / "neuritetracker" / "cellbody_t01-30.tif"
SCENE = DishScene(seed=77, side_px=256, n_neurons=5, n_frames=24, n_deaths=0)


@pytest.fixture(scope="module")
def traced():
    """Return pairs of simulated and traced frames."""
    registrar = FilmRegistrar()
    settings = DishSettings(um_per_px=SCENE.um_per_px, interval_s=SCENE.interval_s)
    tracker = DishTracker(settings)
    pairs = []
    for frame in film_dish(SCENE):
        picture = registrar.register(frame.image)
        pairs.append((frame, tracker.process_frame(picture.image, picture.is_valid)))
    return pairs


def test_every_body_is_found_and_keeps_its_number(traced):
    numbers = set()
    for frame, found in traced:
        if found.is_traced:
            assert len(found.bodies) == len(frame.truth.bodies)
            numbers |= set(found.bodies["number"].tolist())
    assert numbers == {1, 2, 3, 4, 5}


def test_length_agrees_with_the_truth(traced):
    frame, found = traced[-1]
    truth_um = sum(frame.truth.length_px.values()) * SCENE.um_per_px
    assert found.figures.length_um == pytest.approx(truth_um, rel=0.15)


def test_neurites_lie_where_the_truth_is(traced):
    frame, found = traced[-1]
    is_line = (found.owners > 0) & (found.owners != LOOSE) & ~found.is_body
    rows, cols = np.nonzero(is_line)
    true = frame.truth.centerlines
    away = np.hypot(rows[:, None] - true[:, 0], cols[:, None] - true[:, 1]).min(1)
    assert (away <= 3).mean() > 0.9


def test_pictures_out_of_focus_are_found_and_no_others(traced):
    assert [bool(frame.defect) for frame, _ in traced] == [
        not found.is_traced for _, found in traced
    ]


@pytest.mark.skipif(not REAL_FILM.exists(), reason="the real film is missing")
def test_bodies_of_a_real_film_keep_their_numbers():
    registrar, numbers = FilmRegistrar(), []
    settings = DishSettings(body_um=20.0, um_per_px=1.28, interval_s=720.0)
    tracker = DishTracker(settings)
    for image in tifffile.imread(REAL_FILM, key=range(6)):
        picture = registrar.register(image)
        frame = tracker.process_frame(picture.image, picture.is_valid)
        assert frame.is_traced
        numbers.append(set(frame.bodies["number"].tolist()))
    # From the fourth picture on, no body is born where a neurite was.
    stay = numbers[3] & numbers[5]
    assert len(stay) >= 0.8 * len(numbers[3])
