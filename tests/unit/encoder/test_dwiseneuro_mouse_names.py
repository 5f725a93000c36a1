"""A readout is chosen by index, animal or name of its recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrecon.encoder.card import CheckpointError
from rtrecon.encoder.dwiseneuro.mouse_names import (
    SENSORIUM_MICE,
    Mouse,
    choose_mouse,
    identify_mice,
)

PATH = Path("model-017-0.292118.pth")

# name that is given -> index of the readout
INDICES = {
    0: 0,
    "9": 9,
    "29623": 1,
    29647: 2,
    "29712-5-9": 3,
    "dynamic29755-2-8": 4,
    "dynamic29156-11-10-Video-8744edeac3b4d1ce16b680916b5267ce": 5,
}


@pytest.mark.parametrize("wanted", INDICES)
def test_a_mouse_is_found_by_index_and_by_name(wanted: str | int):
    assert choose_mouse(PATH, SENSORIUM_MICE, wanted) == SENSORIUM_MICE[INDICES[wanted]]


@pytest.mark.parametrize("wanted", [10, -1, "29624", "296", "dynamic", "", "0.0"])
def test_the_error_for_an_unknown_mouse_lists_the_known_ones(wanted: str | int):
    offered = [*SENSORIUM_MICE[:2], Mouse(2, 11)]
    words = rf"model-017.*no readout for mouse {wanted}; give one of 0 \(29515-10-12\)"
    with pytest.raises(CheckpointError, match=rf"{words}, 1 \(29623-4-9\), 2$"):
        choose_mouse(PATH, offered, wanted)


def test_only_one_of_several_mice_has_to_be_named():
    assert choose_mouse(PATH, SENSORIUM_MICE[3:4], None) == SENSORIUM_MICE[3]
    with pytest.raises(
        CheckpointError, match=r"none was chosen; give one of 0 .* 9 \("
    ):
        choose_mouse(PATH, SENSORIUM_MICE, None)


def test_a_mouse_is_recognized_by_its_number_of_neurons():
    assert identify_mice([7863, 7908]) == list(SENSORIUM_MICE[:2])
    assert identify_mice([7863, 7907]) == [SENSORIUM_MICE[0], Mouse(1, 7907)]
