from __future__ import annotations

import numpy as np
import pytest

from rtrecon.imaging.field_match.mask_orientation import check_transposition
from rtrecon.rois.roi_set import build_roi_set
from rtrecon.simulate.microscope import image_field, make_imaged_field

N_FRAMES = 40


@pytest.fixture(scope="module", params=[30, 300], ids="{} neurons".format)
def masks_and_mean(request):
    """Masks and the mean of some frames of their field, not registered."""
    n_neurons = request.param
    field = make_imaged_field(n_neurons, 128 if n_neurons < 100 else 256, seed=1)
    rest = image_field(field, np.zeros((N_FRAMES, n_neurons), np.float32), 30.0, seed=1)
    frame = np.empty(field.tissue.shape, np.int16)
    mean = np.mean(
        [rest.render_frame(i, frame).astype(float) for i in range(N_FRAMES)], 0
    )
    return field.masks, mean


def test_correct_masks_give_no_notice(masks_and_mean):
    assert check_transposition(*masks_and_mean) is None


def test_transposed_masks_give_a_notice(masks_and_mean):
    masks, mean = masks_and_mean
    notice = check_transposition(masks.transpose(), mean)
    assert notice is not None
    assert "look transposed" in notice
    assert "rois.transpose" in notice


def test_a_transposed_image_gives_a_notice(masks_and_mean):
    masks, mean = masks_and_mean
    assert check_transposition(masks, mean.T) is not None


def test_masks_of_an_unrelated_place_give_no_notice(masks_and_mean):
    masks, mean = masks_and_mean
    rng = np.random.default_rng(0)
    for _ in range(3):
        offset = tuple(rng.integers(30, mean.shape[0] - 30, 2))
        assert check_transposition(masks, np.roll(mean, offset, (0, 1))) is None


def squares(shape, *corners):
    y, x = np.divmod(np.arange(25), 5)
    masks = [(row + y, col + x, np.ones(25)) for row, col in corners]
    return build_roi_set(np.arange(len(corners)), shape, masks)


def drawn(shape, rois):
    image = np.random.default_rng(0).normal(100, 1, shape)
    image[rois.rows, rois.cols] += 50
    return image


def test_masks_that_fit_the_field_in_one_orientation_only_give_no_notice():
    shape = (40, 80)
    bright = squares(shape, *[(row, row + 20) for row in range(2, 34, 6)])
    beyond = squares(shape, *[(row, row + 40) for row in range(2, 34, 6)])
    assert check_transposition(bright, drawn(shape, squares(shape, (2, 60)))) is None
    assert check_transposition(beyond, drawn(shape, beyond)) is None


def test_transposed_masks_are_detected_on_a_field_that_is_not_square():
    shape = (40, 80)
    given = squares(shape, *[(row, 34 - row) for row in range(1, 17, 2)])
    meant = squares(shape, *[(34 - row, row) for row in range(1, 17, 2)])
    assert check_transposition(given, drawn(shape, meant)) is not None
    assert check_transposition(meant, drawn(shape, meant)) is None


@pytest.mark.parametrize(
    "image", [np.zeros((40, 40)), np.full((40, 40), 7.0), np.full((40, 40), np.nan)]
)
def test_an_image_without_structure_gives_no_notice(image):
    masks = squares((40, 40), (2, 20), (9, 20), (16, 30), (30, 5))
    assert check_transposition(masks, image) is None


def test_no_masks_and_empty_masks_give_no_notice():
    image = np.random.default_rng(0).normal(size=(40, 40))
    empty = (np.array([], int), np.array([], int), np.array([]))
    assert check_transposition(build_roi_set([], (40, 40), []), image) is None
    assert check_transposition(build_roi_set([1], (40, 40), [empty]), image) is None
