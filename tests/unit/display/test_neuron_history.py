"""What the display remembers of each neuron of a dish."""

import numpy as np
import pytest

from rtrecon.display.panel_states.dish import DishState
from rtrecon.display.panel_states.neuron_history import (
    MAX_PICTURES,
    N_DISTANCES,
    NeuronHistory,
)
from rtrecon.protocol.dish_messages import BODY_COLUMNS, LOOSE, NOT_CLAIMED
from rtrecon.testing.dish_messages import SIDE_PX, generate_dish_messages

N_PICTURES = 7


def show_pictures() -> DishState:
    state = DishState()
    for message, payload in generate_dish_messages(N_PICTURES):
        state.update(message, payload, 0.0)
    return state


def make_body(number: int, y: float, x: float) -> np.ndarray:
    body = np.zeros((1, len(BODY_COLUMNS)), np.float32)
    body[0, :3] = number, y, x
    return body


def test_a_profile_counts_neurite_pixels_at_each_distance():
    history, owners = NeuronHistory(), np.zeros((128, 128), np.uint16)
    owners[20, 30:51] = 4  # a line 10 to 30 px from the body
    owners[60, 30:51], owners[61, 30:51] = LOOSE, NOT_CLAIMED
    history.add_picture(0.5, make_body(4, 20.0, 20.0), owners, 1)
    [point] = history.list_points(4)
    assert point.profile.sum() == 21
    width_px = history.range_px / N_DISTANCES
    filled = np.flatnonzero(point.profile) * width_px
    assert (filled.min(), filled.max()) == (10.0, 30.0)


def test_the_pictures_of_a_neuron_are_limited_and_gaps_are_gaps():
    history, owners = NeuronHistory(), np.zeros((64, 64), np.uint16)
    for hour in range(MAX_PICTURES + 5):
        number = 1 if hour != MAX_PICTURES else 2
        history.add_picture(float(hour), make_body(number, 20, 20), owners, 2)
    points = history.list_points(1)
    assert len(points) == MAX_PICTURES
    assert [p.hours for p in points if np.isnan(p.length_um)] == [float(MAX_PICTURES)]
    assert history.list_points(9) == []


def test_the_neuron_near_a_click_is_found_with_its_partners():
    plane = show_pictures().planes[0]
    assert plane.find_neuron(40.0, 42.0) == 1  # beside its neurite
    assert plane.find_neuron(70.0, 70.0) == 2
    assert plane.find_neuron(4.0, 60.0) == 0
    assert plane.find_neuron(50.0, SIDE_PX - 3.0) == 0  # nothing is claimed there
    assert (plane.list_partners(1), plane.list_partners(3)) == ([2], [])


def test_growth_is_seen_in_the_profiles():
    points = show_pictures().planes[0].history.list_points(1)
    assert len(points) == N_PICTURES - 1  # the first one was not traced
    reach = [np.flatnonzero(point.profile).max(initial=0) for point in points]
    assert reach == sorted(reach)
    assert reach[-1] > reach[0]
    assert points[-1].hours == pytest.approx((N_PICTURES - 1) / 6)
