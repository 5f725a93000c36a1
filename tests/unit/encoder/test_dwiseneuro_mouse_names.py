"""A readout is asked for by index, animal or name of its recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrecon.encoder.card import CheckpointError
from rtrecon.encoder.dwiseneuro.mouse_names import (
    SENSORIUM,
    Mouse,
    answered_for,
    choose,
)

PATH = Path("model-017-0.292118.pth")

# what is asked for -> index of the readout
NAMED = {
    0: 0,
    "9": 9,
    "29623": 1,
    29647: 2,
    "29712-5-9": 3,
    "dynamic29755-2-8": 4,
    "dynamic29156-11-10-Video-8744edeac3b4d1ce16b680916b5267ce": 5,
}


@pytest.mark.parametrize("wanted", NAMED)
def test_a_mouse_goes_by_index_and_by_name(wanted: str | int):
    assert choose(PATH, SENSORIUM, wanted) == SENSORIUM[NAMED[wanted]]


@pytest.mark.parametrize("wanted", [10, -1, "29624", "296", "dynamic", "", "0.0"])
def test_who_is_not_there_is_refused_with_those_who_are(wanted: str | int):
    offered = [*SENSORIUM[:2], Mouse(2, 11)]
    words = rf"model-017.*no readout for mouse {wanted}; give one of 0 \(29515-10-12\)"
    with pytest.raises(CheckpointError, match=rf"{words}, 1 \(29623-4-9\), 2$"):
        choose(PATH, offered, wanted)


def test_one_of_several_has_to_be_chosen_and_an_only_one_need_not():
    assert choose(PATH, SENSORIUM[3:4], None) == SENSORIUM[3]
    with pytest.raises(CheckpointError, match=r"is not said; give one of 0 .* 9 \("):
        choose(PATH, SENSORIUM, None)


def test_a_readout_is_a_known_mouse_s_if_its_neurons_are_as_many():
    assert answered_for([7863, 7908]) == list(SENSORIUM[:2])
    assert answered_for([7863, 7907]) == [SENSORIUM[0], Mouse(1, 7907)]
