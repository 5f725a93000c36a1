from __future__ import annotations

import numpy as np
import pytest
import tifffile

from rtrecon.imaging.field_match.mask_orientation import looks_transposed
from rtrecon.rois.readers.regions import load_regions
from rtrecon.rois.roi_set import from_pixels
from rtrecon.simulate.microscope import make_field, record

RECORDING = "scanimage/replay_real_pixels_synthetic_SI_header.tif"
REGIONS = "twophoton/neurofinder_regions.json"
N_FRAMES = 40


@pytest.fixture(scope="module", params=["30 neurons", "300 neurons", "real"])
def masks_and_mean(request):
    """Masks and the mean of some frames of their field, not registered."""
    if request.param == "real":
        return real(request.getfixturevalue("shared_data"))
    n_neurons = int(request.param.split()[0])
    field = make_field(n_neurons, 128 if n_neurons < 100 else 256, seed=1)
    rest = record(field, np.zeros((N_FRAMES, n_neurons), np.float32), 30.0, seed=1)
    frame = np.empty(field.tissue.shape, np.int16)
    mean = np.mean([rest.frame(i, frame).astype(float) for i in range(N_FRAMES)], 0)
    return field.masks, mean


def real(shared_data):
    for name in (RECORDING, REGIONS):
        if not (shared_data / name).exists():
            pytest.skip(f"{name} is not here")
    frames = tifffile.imread(shared_data / RECORDING)
    return load_regions(shared_data / REGIONS, frames.shape[1:]), frames.mean(0)


def test_masks_where_they_belong_are_left_alone(masks_and_mean):
    assert looks_transposed(*masks_and_mean) is None


def test_transposed_masks_are_told(masks_and_mean):
    masks, mean = masks_and_mean
    said = looks_transposed(masks.transposed(), mean)
    assert said is not None
    assert "look transposed" in said
    assert "rois.transpose" in said


def test_a_transposed_image_is_the_same_mistake(masks_and_mean):
    masks, mean = masks_and_mean
    assert looks_transposed(masks, mean.T) is not None


def test_masks_of_an_unrelated_place_are_not_taken_for_transposed(masks_and_mean):
    masks, mean = masks_and_mean
    rng = np.random.default_rng(0)
    for _ in range(6):
        offset = tuple(rng.integers(30, mean.shape[0] - 30, 2))
        assert looks_transposed(masks, np.roll(mean, offset, (0, 1))) is None


def squares(shape, *corners):
    y, x = np.divmod(np.arange(25), 5)
    masks = [(row + y, col + x, np.ones(25)) for row, col in corners]
    return from_pixels(np.arange(len(corners)), shape, masks)


def drawn(shape, rois):
    image = np.random.default_rng(0).normal(100, 1, shape)
    image[rois.rows, rois.cols] += 50
    return image


def test_masks_that_only_fit_one_way_are_no_question():
    shape = (40, 80)
    bright = squares(shape, *[(row, row + 20) for row in range(2, 34, 6)])
    beyond = squares(shape, *[(row, row + 40) for row in range(2, 34, 6)])
    assert looks_transposed(bright, drawn(shape, squares(shape, (2, 60)))) is None
    assert looks_transposed(beyond, drawn(shape, beyond)) is None


def test_a_field_that_is_not_square_can_be_told_too():
    shape = (40, 80)
    given = squares(shape, *[(row, 34 - row) for row in range(1, 17, 2)])
    meant = squares(shape, *[(34 - row, row) for row in range(1, 17, 2)])
    assert looks_transposed(given, drawn(shape, meant)) is not None
    assert looks_transposed(meant, drawn(shape, meant)) is None


@pytest.mark.parametrize(
    "image", [np.zeros((40, 40)), np.full((40, 40), 7.0), np.full((40, 40), np.nan)]
)
def test_an_image_without_anything_on_it_says_nothing(image):
    masks = squares((40, 40), (2, 20), (9, 20), (16, 30), (30, 5))
    assert looks_transposed(masks, image) is None


def test_no_masks_and_empty_masks_say_nothing():
    image = np.random.default_rng(0).normal(size=(40, 40))
    empty = (np.array([], int), np.array([], int), np.array([]))
    assert looks_transposed(from_pixels([], (40, 40), []), image) is None
    assert looks_transposed(from_pixels([1], (40, 40), [empty]), image) is None
