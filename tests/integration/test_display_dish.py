"""The page of neurons in a dish, drawn without a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from rtrecon.core.neuron_colors import make_colors
from rtrecon.display.client import Answer, read_preview
from rtrecon.display.dish_picture import color_owners
from rtrecon.display.panel_states.dish import DishState
from rtrecon.display.window import Window
from rtrecon.protocol import messages
from rtrecon.testing.dish_messages import SIDE_PX, generate_dish_messages
from tests.support.display_window import (
    SKIP_WITHOUT_QT,
    START_S,
    open_windows,
    show_experiment,
)

pytestmark = SKIP_WITHOUT_QT
N_PICTURES = 7


@pytest.fixture
def window_for(qtbot: QtBot) -> Iterator[Callable[..., Window]]:
    """A function that opens a window with these options, without a daemon."""
    with open_windows(qtbot) as open_window:
        yield open_window


def show_dish(window: Window, planes: tuple[int, ...] = (0,)) -> Window:
    for plane in planes:
        for message, payload in generate_dish_messages(N_PICTURES - plane, plane):
            window.state.update(message, payload, START_S)
    window.draw(START_S)
    return window


def test_the_page_takes_the_place_of_the_movie_in_a_session_of_a_dish(window_for):
    window = show_dish(window_for())
    assert window.dish_page.isVisible()
    assert not window.movie.isVisible()
    note = window.dish_page.note.toolTip()
    assert note == "picture 7, 1 h"
    texts = [label.text() for label in window.dish_page.findChildren(QLabel)]
    assert {"Touches: 1", "Cell bodies: 3", "Neurites, mm per mm²: 12"} <= set(texts)
    assert window.dish_page.events.item(0).text().endswith("neurons 1 and 2 touch")


def test_a_session_of_the_brain_shows_the_movie(window_for):
    window = show_experiment(window_for(), skill=0.85)
    assert window.movie.isVisible()
    assert not window.dish_page.isVisible()


def test_neurites_have_the_color_of_their_neuron_and_bodies_stay_gray(window_for):
    window = show_dish(window_for())
    plane = window.state.panel(DishState).planes[0]
    colored = color_owners(plane).astype(int)
    assert colored[45, 45].tolist() == make_colors(1)[1].tolist()
    assert np.ptp(colored[20, 20]) == 0
    assert np.ptp(colored[45, 60]) == 0
    hatched = colored[:, -8:, 0]
    assert len(np.unique(hatched)) == 2  # stripes


def test_the_picture_shows_rings_and_numbers(window_for):
    window = show_dish(window_for())
    full = window.dish_page.picture.grab().toImage()
    plane = window.state.panel(DishState).planes[0]
    plane.contacts = plane.contacts[:0]
    window.dish_page.picture.show_plane(plane)
    without_rings = window.dish_page.picture.grab().toImage()
    plane.bodies = plane.bodies[:0]
    window.dish_page.picture.show_plane(plane)
    without_numbers = window.dish_page.picture.grab().toImage()
    assert full != without_rings
    assert without_rings != without_numbers


def test_a_key_shows_the_next_stage_position(window_for, qtbot):
    window = show_dish(window_for(), planes=(0, 1))
    assert window.dish_page.note.toolTip().startswith("position 1 of 2, picture 7")
    qtbot.keyClick(window, Qt.Key.Key_D)
    window.draw(START_S)
    assert window.dish_page.note.toolTip().startswith("position 2 of 2, picture 6")


def click(window: Window, qtbot: QtBot, y: float, x: float, shift: bool = False):
    """Click at a position of the picture, in camera px."""
    picture = window.dish_page.picture
    area = picture._find_area()
    scale = area.width() / picture.image.width()
    place = area.topLeft() + QPointF(x + 0.5, y + 0.5) * scale
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.NoModifier
    qtbot.mouseClick(picture, Qt.MouseButton.LeftButton, modifier, place.toPoint())
    window.draw(START_S)


def test_a_click_on_a_neuron_shows_figures_partners_and_a_kymograph(window_for, qtbot):
    window = show_dish(window_for())
    details = window.dish_page.details
    assert not details.kymograph.isVisible()
    click(window, qtbot, 45, 45)
    assert details.text.text().startswith("Neuron 1: 0 um")
    assert "touches 2." in details.text.text()
    assert details.kymograph.isVisible()
    assert details.image.image.shape[1] == N_PICTURES - 1
    click(window, qtbot, 4, 60)
    assert details.text.text().startswith("Click a neuron")


def test_a_click_with_shift_asks_for_another_owner(window_for, qtbot):
    window, asked = show_dish(window_for()), []
    window.dish_page.reassign_clicked.connect(lambda *place: asked.append(place))
    click(window, qtbot, 45, 45, shift=True)
    assert asked == []  # no neuron is chosen
    click(window, qtbot, 70, 70)
    click(window, qtbot, 45, 45, shift=True)
    [(plane, y, x, number)] = asked
    assert (plane, number) == (0, 2)
    assert (y, x) == pytest.approx((45.5, 45.5), abs=1)


def test_a_preview_shows_what_other_settings_find(window_for):
    window, asked = show_dish(window_for()), []
    page = window.dish_page
    page.preview_asked.connect(lambda *settings: asked.append(settings))
    page.settings.sensitivity.setValue(2.0)
    assert asked == []  # the preview is off
    page.settings.button.click()
    assert asked == [(0, 12.0, 2.0)]
    before = page.picture.image.copy()
    owners = np.zeros((SIDE_PX, SIDE_PX), "<u2")
    owners[50, 30:60] = 4
    fields = {"shape": owners.shape, "downsampling": 1, "bodies": [[4, 50.0, 20.0]]}
    answer = Answer("1 bodies", fields, [owners.tobytes()])
    page.show_preview(answer.sentence, read_preview(answer))
    window.draw(START_S)
    assert page.note.toolTip() == "Preview: 1 bodies"
    assert page.picture.image != before
    page.settings.button.click()
    window.draw(START_S)
    assert page.picture.image == before
    assert page.note.toolTip().startswith("picture 7")


def test_an_answer_that_is_no_preview_is_not_drawn():
    assert read_preview(Answer("no", {}, [])) is None
    assert read_preview(Answer("no", {"shape": [2, 2], "bodies": []}, [b"1"])) is None


def test_a_table_with_other_columns_is_ignored_with_a_sentence(window_for):
    window = window_for()
    message = next(
        message
        for message, _ in generate_dish_messages(1)
        if isinstance(message, messages.DishBodies)
    )
    wrong = type(message)(
        **{f: getattr(message, f) for f in message.__struct_fields__}
        | {"shape": (3, 4)}
    )
    with pytest.raises(messages.WireError, match="4 columns, expected 9"):
        window._client.subscriber.check_message(wrong, np.empty((3, 4)))
