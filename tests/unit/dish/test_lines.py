import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from rtrecon.dish.bridges import bridge_gaps
from rtrecon.dish.image_filters import (
    average_blocks,
    dilate_square,
    erode_square,
    repeat_blocks,
)
from rtrecon.dish.lengths import measure_lengths
from rtrecon.dish.line_filter import LineFilter
from rtrecon.dish.pixel_graph import build_pixel_graph
from rtrecon.dish.spurs import remove_short_pieces, remove_spurs, trim_ends
from rtrecon.dish.thinning import BODY, NEURITE, thin_mask

NO_BODY = np.zeros((40, 40), bool)


def draw(*strokes):
    """Return a bool image with strokes (rows, cols) of pixels."""
    lines = np.zeros((40, 40), bool)
    for rows, cols in strokes:
        lines[rows, cols] = True
    return lines


ROW = draw((20, slice(5, 35)))


@pytest.mark.parametrize("reach", [0, 1, 4, 5])
def test_square_filters_agree_with_scipy(reach):
    image = np.random.default_rng(0).normal(size=(23, 31)).astype(np.float32)
    size = 2 * reach + 1
    np.testing.assert_array_equal(
        dilate_square(image, reach), maximum_filter(image, size, mode="nearest")
    )
    np.testing.assert_array_equal(
        erode_square(image, reach), minimum_filter(image, size, mode="nearest")
    )


def test_repeating_blocks_undoes_averaging():
    image = np.repeat(np.repeat(np.arange(12.0).reshape(3, 4), 3, 0), 3, 1)
    assert (repeat_blocks(average_blocks(image, 3), 3, image.shape) == image).all()


def test_the_strength_of_a_line_does_not_depend_on_its_direction():
    rows, cols = np.indices((96, 96)) - 48.0
    noise = np.random.default_rng(3).normal(size=(96, 96))
    strengths = []
    for angle in np.linspace(0, np.pi, 9):
        across = rows * np.cos(angle) - cols * np.sin(angle)
        line = 8 * np.exp(-((across / 1.3) ** 2) / 2)
        strength, _ = LineFilter().measure_lines((line + noise).astype(np.float32))
        strengths.append(strength[40:56, 40:56].max())
    assert min(strengths) > 0.85 * max(strengths)
    assert min(strengths) > 12


def test_a_dark_line_has_no_strength():
    flat = np.random.default_rng(4).normal(size=(64, 64)).astype(np.float32)
    flat[31:34] -= 9
    strength, _ = LineFilter().measure_lines(flat)
    assert strength[32, 10:54].max() < 3


def test_thinning_leaves_a_line_of_one_pixel_that_reaches_the_body():
    mask = np.zeros((40, 40), np.uint8)
    mask[14:27, 2:12] = BODY
    mask[18:23, 12:36] = NEURITE
    lines = thin_mask(mask)
    assert (lines[:, 13:33].sum(0) == 1).all()
    assert lines[:, 12].any()
    assert not lines[:, :12].any()


def test_a_short_spur_is_removed_and_a_long_branch_stays():
    lines = ROW | draw((slice(16, 20), 12), (slice(4, 20), 25))
    remove_spurs(lines, NO_BODY, 9)
    assert not lines[:19, 12].any()
    assert lines[5:19, 25].all()


def test_a_short_piece_without_body_is_removed():
    is_body = draw((slice(5, 9), slice(5, 9)))
    lines = draw((7, slice(9, 14)), (30, slice(9, 14)))
    remove_short_pieces(lines, is_body, 10)
    assert lines[7].any()
    assert not lines[30].any()


def test_free_ends_are_trimmed_and_ends_at_bodies_are_not():
    lines, is_body = ROW.copy(), draw((slice(18, 23), slice(0, 5)))
    trim_ends(lines, is_body, 3)
    assert lines[20].nonzero()[0].tolist() == list(range(5, 32))


def test_a_gap_is_bridged_where_there_is_some_strength():
    is_body = draw((slice(18, 23), slice(0, 5)))
    lines = draw((20, slice(5, 15)), (20, slice(19, 35)))
    strength = np.full((40, 40), 2.0, np.float32)
    bridges = bridge_gaps(lines, is_body, strength, 3.0, 14.0)
    assert bridges[20, 15:19].all()
    assert bridges.sum() == 4
    assert not bridge_gaps(lines, is_body, strength, 3.0, 6.0).any()


def test_the_length_of_a_line_does_not_depend_on_its_direction():
    for angle in np.linspace(0, np.pi / 2, 7):
        along = np.linspace(0, 150, 1200)
        lines = np.zeros((170, 170), np.uint8)
        rows = np.rint(5 + along * np.sin(angle)).astype(int)
        lines[rows, np.rint(5 + along * np.cos(angle)).astype(int)] = NEURITE
        graph = build_pixel_graph(thin_mask(lines))
        (length_px,) = measure_lengths(graph, np.zeros(len(graph), int), 1)
        assert length_px == pytest.approx(150, rel=0.06)


def test_a_cross_has_four_pieces():
    graph = build_pixel_graph(ROW | draw((slice(5, 35), 20)))
    assert graph.n_pieces == 4
    assert (graph.degrees == 1).sum() == 4
    assert len(graph.find_piece(20, 7)) == len(np.unique(graph.find_piece(20, 7))) > 10
    assert len(graph.find_piece(2, 2)) == 0
