import numpy as np
import pytest

from rtrecon.dish.body_finder import find_bodies, measure_distance
from rtrecon.dish.body_tracker import BodyTracker
from rtrecon.dish.flatten import flatten_image
from rtrecon.dish.jumps import find_jump
from tests.unit.dish.drawing import Drawing

MIN_RADIUS_PX = 5.5


def find(drawing):
    return find_bodies(flatten_image(drawing.render()), MIN_RADIUS_PX, 1.0)


def test_a_disc_is_a_body_and_a_line_is_none():
    found = find(Drawing().add_body(80, 60).add_neurite((80, 60), (80, 140)))
    assert len(found) == 1
    assert found.centers[0] == pytest.approx([80, 60], abs=1.0)
    assert np.sqrt(found.areas[0] / np.pi) == pytest.approx(7, abs=1.0)


def test_two_bodies_that_touch_are_two():
    found = find(Drawing().add_body(80, 60, 8).add_body(80, 76, 8))
    assert sorted(found.centers[:, 1]) == pytest.approx([60, 76], abs=1.5)


def test_an_empty_picture_has_no_body():
    assert len(find(Drawing())) == 0


def test_distance_counts_steps_to_the_edge():
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    distance = measure_distance(mask)
    assert distance[4, 4] == 4
    assert distance[1, 4] == 1
    assert distance[0, 0] == 0


def bodies_at(*points):
    table = np.zeros(
        len(points), [(n, float) for n in ("y", "x", "area", "brightness", "depth")]
    )
    table["y"], table["x"] = np.array(points, float).reshape(-1, 2).T
    table["area"] = 150.0
    return table


def test_bodies_keep_their_numbers_while_they_move():
    tracker = BodyTracker(18.0)
    first = tracker.assign_numbers(0, bodies_at((20, 20), (60, 60)))
    second = tracker.assign_numbers(1, bodies_at((62, 58), (22, 23)))
    assert second.tolist() == first[::-1].tolist()


def test_a_body_that_was_missed_for_three_frames_keeps_its_number():
    tracker = BodyTracker(18.0)
    (number,) = tracker.assign_numbers(0, bodies_at((20, 20)))
    for frame in (1, 2, 3):
        tracker.assign_numbers(frame, bodies_at())
    assert tracker.assign_numbers(4, bodies_at((21, 21))) == [number]


def test_the_number_of_a_body_that_is_gone_is_not_given_again():
    tracker = BodyTracker(18.0)
    (number,) = tracker.assign_numbers(0, bodies_at((20, 20)))
    assert tracker.assign_numbers(9, bodies_at((20, 20))) != [number]
    assert tracker.dropped["number"].tolist() == [number]


def test_a_jump_of_all_bodies_is_found():
    rng = np.random.default_rng(1)
    stored = rng.uniform(0, 400, (8, 2))
    moved, others = stored[1:] + np.array([37, -21]), rng.uniform(0, 400, (2, 2))
    found = np.concatenate([moved, others])
    assert find_jump(stored, found, 6.0) == pytest.approx([37, -21], abs=0.01)


def test_bodies_that_have_nothing_in_common_did_not_jump():
    rng = np.random.default_rng(2)
    stored, found = rng.uniform(0, 900, (2, 9, 2))
    assert find_jump(stored, found, 6.0) is None


def test_a_dim_body_is_found_beside_a_bright_one():
    rows, cols = np.indices((160, 160))
    light = 40.0 * (np.hypot(rows - 80, cols - 40) <= 7)
    light += 4.5 * (np.hypot(rows - 80, cols - 120) <= 7)
    noise = np.random.default_rng(0).normal(0, 1, light.shape)
    found = find_bodies((light + noise).astype(np.float32), MIN_RADIUS_PX, 1.0)
    assert sorted(found.centers[:, 1]) == pytest.approx([40, 120], abs=1.5)
