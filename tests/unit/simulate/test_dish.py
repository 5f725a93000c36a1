from dataclasses import replace

import numpy as np
import pytest

from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import Defect, DishScene
from rtrecon.simulate.dish.truth import find_touches

SCENE = DishScene(seed=5, side_px=160, n_neurons=3, n_frames=14, n_unlabelled=4)
BODY = np.array([[3.0, 60.0, 60.0, 7.0]])


def line(number, start, end):
    rows, cols = np.linspace(start, end, 41).T
    return np.column_stack([rows, cols, np.full(41, number)])


def test_the_same_seed_films_the_same_dish():
    first, second = (list(film_dish(replace(SCENE, n_frames=3))) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.truth.centerlines, other.truth.centerlines)


def test_neurites_grow_and_are_brighter_than_the_background():
    *_, last = film_dish(replace(SCENE, n_bad_frames=0, drift_px=0.0))
    assert sum(last.truth.length_px.values()) > 100
    at = np.rint(last.truth.centerlines[:, :2]).astype(int).T
    inside = (at > 4).all(0) & (at < 155).all(0)
    on_lines = last.image[at[0, inside], at[1, inside]].mean()
    assert on_lines > 1.2 * np.median(last.image)
    for _, y, x, _ in last.truth.bodies:
        assert last.image[round(y), round(x)] > 2 * np.median(last.image)


def test_the_truth_does_not_drift_with_the_stage():
    frames = list(film_dish(replace(SCENE, n_bad_frames=0)))
    assert frames[0].truth.drift_px == (0.0, 0.0)
    last = frames[-1]
    y, x = last.truth.bodies[0, 1:3] + last.truth.drift_px
    window = last.image[round(y) - 12 : round(y) + 13, round(x) - 12 : round(x) + 13]
    rows, cols = np.indices(window.shape) - 12.0
    light = np.maximum(window - 2.0 * np.median(last.image), 0)
    center = (light * rows).sum() / light.sum(), (light * cols).sum() / light.sum()
    assert np.hypot(*center) < 1.5


@pytest.mark.parametrize(
    ("defect", "is_seen"),
    [
        (Defect.SHUTTER_CLOSED, lambda bad, good: bad.std() < 0.6 * good.std()),
        (Defect.SATURATED, lambda bad, good: (bad == 65535).mean() > 0.9),
        (Defect.OUT_OF_FOCUS, lambda bad, good: bad.max() < good.max()),
    ],
)
def test_bad_frames_show_their_defect(defect, is_seen):
    frames = list(film_dish(SCENE, defect))
    bad = [frame for frame in frames if frame.defect]
    assert {frame.defect for frame in bad} == {defect}
    assert len(bad) == 2
    assert all(is_seen(frame.image, frames[0].image) for frame in bad)


def test_two_lines_that_cross_touch_once():
    lines = np.concatenate([line(1, (20, 0), (20, 40)), line(2, (0, 20), (40, 20))])
    (touch,) = find_touches(lines, np.zeros((0, 4)), 3.0, 2.5)
    assert touch == pytest.approx([20, 20, 1, 2], abs=0.5)


def test_a_line_that_ends_at_a_body_touches_it_once():
    lines = line(1, (60, 20), (60, 52))
    (touch,) = find_touches(lines, BODY, 3.0, 2.5)
    assert touch == pytest.approx([60, 51, 1, 3], abs=1)


def test_parallel_lines_are_near_but_do_not_touch():
    lines = np.concatenate([line(1, (20, 0), (20, 40)), line(2, (25, 0), (25, 40))])
    assert len(find_touches(lines, np.zeros((0, 4)), 3.0, 2.5)) == 0
    assert len(find_touches(lines, np.zeros((0, 4)), 6.5, 6.5)) == 1


def test_a_neuron_that_dies_loses_its_neurites_first_and_then_its_body():
    scene = replace(SCENE, n_frames=30, n_deaths=3, n_bad_frames=0)
    frames = list(film_dish(scene))
    lengths = [sum(frame.truth.length_px.values()) for frame in frames]
    assert max(lengths) > 100
    assert lengths[-1] == 0
    assert [len(frame.truth.bodies) for frame in frames][:9] == [3] * 9
