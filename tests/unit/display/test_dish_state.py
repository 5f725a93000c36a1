"""What the window stores of neurons in a dish."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.core.neuron_colors import make_colors
from rtrecon.display.panel_states.dish import MAX_PLANES, DishState
from rtrecon.display.state import DisplayState
from rtrecon.protocol import messages
from rtrecon.testing.dish_messages import SIDE_PX, generate_dish_messages

N_PICTURES = 7


@pytest.fixture
def state() -> DisplayState:
    state = DisplayState([DishState])
    for message, payload in generate_dish_messages(N_PICTURES):
        state.update(message, payload, 0.0)
    return state


def test_counts_are_stored_over_hours_and_untraced_pictures_are_gaps(state):
    plane = state.panel(DishState).planes[0]
    table = np.array(plane.points)
    assert table[:, 0] == pytest.approx(np.arange(N_PICTURES) / 6)
    assert np.isnan(table[0, 1:]).all()
    assert table[1:, 1] == pytest.approx(2.0 * np.arange(1, N_PICTURES))
    assert table[-1, 2:].tolist() == [1.0, 3.0]


def test_the_newest_picture_has_its_bodies_touches_and_owners(state):
    plane = state.panel(DishState).planes[0]
    assert plane.list_bodies() == [(1, 20.0, 20.0), (2, 70.0, 70.0), (3, 24.0, 72.0)]
    assert plane.list_contacts() == [(64.0, 64.0, True)]
    assert plane.owners.shape == (SIDE_PX, SIDE_PX)
    assert plane.view_step_px == 2


def test_events_of_the_dish_are_listed_and_others_are_not(state):
    dish = state.panel(DishState)
    mark = messages.Event(session="dish", seq=9, t=0.0, name="mark", message="a note")
    state.update(mark, np.empty(0), 0.0)
    [event] = dish.events
    assert event.endswith("neurons 1 and 2 touch")


def test_a_session_of_the_brain_has_no_pictures_of_a_dish():
    state = DisplayState([DishState])
    for message, payload in generate_dish_messages(2):
        if isinstance(message, messages.FieldImage):
            state.update(message, payload, 0.0)
    assert not state.panel(DishState).has_pictures


def test_stage_positions_are_bounded():
    state = DisplayState([DishState])
    for plane in range(MAX_PLANES + 5):
        for message, payload in generate_dish_messages(1, plane):
            state.update(message, payload, 0.0)
    assert len(state.panel(DishState).planes) == MAX_PLANES


def test_neurons_that_follow_each_other_have_different_colors():
    colors = make_colors(40).astype(int)
    assert np.ptp(colors[0]) == 0
    steps = np.abs(np.diff(colors[1:], axis=0)).max(1)
    assert steps.min() > 60
