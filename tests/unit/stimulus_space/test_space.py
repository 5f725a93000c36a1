"""Stimulus spaces: their values, their axes, and which frames fit them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.stimulus_space.axis import Axis
from rtrecon.stimulus_space.fit_frame import find_misfit, fit_stimulus
from rtrecon.stimulus_space.space import StimulusSpace, read_space
from rtrecon.stimulus_space.video import VIDEO

ODOUR = StimulusSpace(
    name="odour",
    axes=(
        Axis("odorant", 3, "categories", labels=("geraniol", "limonene", "anisole")),
        Axis("intensity", 4, "logarithmic", unit="ppm", limits=(1.0, 1000.0)),
    ),
    rate_hz=10.0,
    quantity="concentration",
    unit="ppm",
    level_limits=(-1.0, 4.0),
)


def test_a_frame_has_the_size_of_its_axes():
    assert ODOUR.shape == (3, 4)
    assert ODOUR.n_values == 12
    assert ODOUR.describe() == "odour (3 odorant x 4 intensity)"


def test_only_two_linear_axes_make_a_picture():
    assert VIDEO.is_picture
    assert not ODOUR.is_picture


def test_positions_follow_the_spacing():
    categories, ordered = ODOUR.axes
    np.testing.assert_allclose(ordered.positions, [1, 10, 100, 1000])
    assert ordered.describe_position(1) == "10 ppm"
    assert categories.describe_position(1) == "limonene"
    assert (VIDEO.axes[0].positions == np.arange(36)).all()


def test_levels_return_the_quantity_within_half_a_level():
    values = np.linspace(*ODOUR.level_limits, 50)
    step = (ODOUR.level_limits[1] - ODOUR.level_limits[0]) / 255
    found = ODOUR.from_levels(ODOUR.to_levels(values))
    assert np.abs(found - values).max() <= 0.5 * step * (1 + 1e-3)


def test_what_lies_outside_the_limits_is_clipped_and_nan_is_refused():
    assert ODOUR.to_levels(np.array([-9.0, 99.0])).tolist() == [0, 255]
    with pytest.raises(ValueError, match="concentration is not finite"):
        ODOUR.to_levels(np.array([np.nan]))


@pytest.mark.parametrize("space", [VIDEO, ODOUR], ids=lambda space: space.name)
def test_a_description_in_json_gives_the_space_back(space):
    assert read_space(json.loads(json.dumps(space.to_metadata())), "x") == space


# what is wrong -> part of the error
WRONG = {
    "nothing": (None, "m.safetensors does not say what its stimulus is"),
    "a word": ("video", "describes its stimulus wrongly"),
    "no axes": ({**VIDEO.to_metadata(), "axes": []}, "describes its stimulus wrongly"),
    "no size": (
        {**VIDEO.to_metadata(), "axes": [{"name": "y", "size": 0}] * 2},
        "Expected `int` >= 1",
    ),
    "too few labels": (
        {
            **VIDEO.to_metadata(),
            "axes": [{"name": "y", "size": 2, "spacing": "categories"}] * 2,
        },
        "2 categories and 0 labels",
    ),
    "logarithm of 0": (
        {
            **VIDEO.to_metadata(),
            "axes": [{"name": "f", "size": 2, "spacing": "logarithmic"}] * 2,
        },
        "must be above 0",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_description_is_refused_with_the_file_and_the_reason(case):
    metadata, words = WRONG[case]
    with pytest.raises(UserError, match=words):
        read_space(metadata, "m.safetensors")


# name and frame that a sender gives for ODOUR -> part of the reason
MISFITS = {
    "another space": (VIDEO.name, np.zeros((3, 4), np.uint8), "of the space 'video'"),
    "unknown space": ("taste", np.zeros((3, 4), np.uint8), "of the space 'taste'"),
    "other axes": ("odour", np.zeros((4, 3), np.uint8), r"\[4, 3\].* has \[3, 4\]"),
    "not a number": ("odour", np.full((3, 4), np.nan, np.float32), "not finite"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_a_frame_that_does_not_fit_is_refused_with_a_sentence(case):
    name, frame, words = MISFITS[case]
    misfit = find_misfit(name, frame, ODOUR)
    assert misfit is not None
    assert re.search(words, misfit)


def test_a_picture_of_any_size_fits_a_movie():
    picture = np.full((72, 128), 9, np.uint8)
    assert find_misfit("video", picture, VIDEO) is None
    assert fit_stimulus(picture, VIDEO).shape == VIDEO.shape


def test_values_of_the_quantity_become_levels():
    frame = np.full(ODOUR.shape, 1.5, np.float32)
    assert find_misfit("odour", frame, ODOUR) is None
    assert (fit_stimulus(frame, ODOUR) == 128).all()
