"""The picture shows outlines at the masks, for every kind of field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from rtrecon.detection.roi_picture import draw_rois
from rtrecon.rois.roi_set import build_roi_set

OUTLINE = np.array([1.0, 0.77, 0.0])  # amber, which a grey field does not contain


def make_blocks(corners, shape):
    """Masks of 6 x 6 px."""
    rows, cols = np.indices((6, 6)).reshape(2, -1)
    pixels = [(rows + top, cols + left, np.ones(36)) for top, left in corners]
    return build_roi_set(np.arange(len(corners)), shape, pixels)


def find_outline(path: Path):
    """Return (rows, cols) of the picture in the colour of the outlines."""
    return np.nonzero(np.abs(imread(path)[..., :3] - OUTLINE).max(-1) < 0.05)


@pytest.mark.parametrize("shape", [(60, 60), (40, 120)])
def test_outlines_are_drawn_at_the_masks(tmp_path: Path, shape):
    mean = np.random.default_rng(0).normal(100, 5, shape)
    draw_rois(tmp_path / "low.png", mean, make_blocks([(2, 2)], shape), "one neuron")
    draw_rois(tmp_path / "high.png", mean, make_blocks([(30, 30)], shape), "one neuron")
    upper, lower = (
        find_outline(tmp_path / "low.png"),
        find_outline(tmp_path / "high.png"),
    )
    assert len(upper[0]) > 100
    height = imread(tmp_path / "low.png").shape[0]
    moved = (np.median(lower[0]) - np.median(upper[0])) / height
    assert moved == pytest.approx(
        28 / shape[0], rel=0.25
    )  # the title takes some of the height


@pytest.mark.parametrize("mean", [np.zeros((20, 20)), np.full((20, 20), -5.0)])
def test_a_dark_field_without_neurons_can_be_drawn(tmp_path: Path, mean):
    draw_rois(tmp_path / "dark.png", mean, make_blocks([], (20, 20)), "0 neurons")
    assert len(find_outline(tmp_path / "dark.png")[0]) == 0


def test_the_outline_of_a_mask_at_the_border_is_closed(tmp_path: Path):
    mean = np.zeros((20, 20))
    draw_rois(
        tmp_path / "corner.png", mean, make_blocks([(0, 0)], (20, 20)), "a corner"
    )
    assert len(find_outline(tmp_path / "corner.png")[0]) > 100
