"""The pixels where the neurons look: threshold, and the way they are published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from rtrecon.metrics.visual_field import (
    MIN_SENSITIVITY,
    decode_visual_field,
    encode_visual_field,
    select_visual_field,
    take_pixels,
)

MASKS = numpy_strategies.arrays(
    bool, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.booleans()
)


@given(MASKS)
def test_a_visual_field_survives_its_encoding(mask):
    lengths = encode_visual_field(mask)
    np.testing.assert_array_equal(decode_visual_field(lengths, mask.shape), mask)
    assert sum(lengths) == mask.size


def test_runs_begin_outside():
    assert encode_visual_field(np.array([[True, True, False]])) == [0, 2, 1]
    assert encode_visual_field(np.zeros((2, 3), bool)) == [6]


@pytest.mark.parametrize("lengths", [[], [5], [3, 4], [9, -3]])
def test_runs_that_do_not_fill_the_image_are_refused(lengths):
    with pytest.raises(ValueError, match="but the image has 6"):
        decode_visual_field(lengths, (2, 3))


def test_pixels_of_a_tenth_of_the_largest_sensitivity_are_inside():
    sensitivity = np.array([[0.0, 0.999 * MIN_SENSITIVITY, MIN_SENSITIVITY, 1.0]]) * 7
    assert select_visual_field(sensitivity).tolist() == [[False, False, True, True]]


def test_without_any_sensitivity_every_pixel_counts():
    assert select_visual_field(np.zeros((2, 3))).all()


def test_pixels_are_taken_by_their_flat_index():
    frames = np.arange(24).reshape(2, 3, 4)
    assert take_pixels(frames, np.array([0, 5])).tolist() == [[0, 5], [12, 17]]
