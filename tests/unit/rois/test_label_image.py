"""Label images of every format, and images that are not labels."""

from __future__ import annotations

import av
import numpy as np
import pytest
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.rois.readers.label_image import load_label_image

SHAPE = (20, 30)


def make_labels(dtype) -> np.ndarray:
    """Return neuron 3 of two parts, 200 of one pixel, and 2 that touches 3."""
    image = np.zeros(SHAPE, dtype)
    image[2:4, 5:7] = 3
    image[10, 20] = 3
    image[19, 29] = 200
    image[4, 5] = 2
    return image


def save_png(path, image: np.ndarray, pixels: str) -> None:
    with av.open(str(path), "w", format="image2") as file:
        stream = file.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = *image.shape[1::-1], pixels
        file.mux(stream.encode(av.VideoFrame.from_ndarray(image, pixels)))
        file.mux(stream.encode())


def save(path, image: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, image)
    else:
        save_png(path, image, "gray" if image.itemsize == 1 else "gray16be")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", [".npy", ".tif", ".png"])
def test_each_label_is_a_neuron(tmp_path, kind, dtype):
    save(tmp_path / f"m{kind}", make_labels(dtype))
    masks = load_label_image(tmp_path / f"m{kind}", SHAPE)
    assert masks.ids.tolist() == [2, 3, 200]
    assert np.diff(masks.indptr).tolist() == [1, 5, 1]
    for (rows, cols, weights), label in zip(
        masks.list_pixels(), masks.ids, strict=True
    ):
        image = np.zeros(SHAPE)
        image[rows, cols] = label
        np.testing.assert_array_equal(
            image, np.where(make_labels(int) == label, label, 0)
        )
        np.testing.assert_allclose(weights, 1 / len(rows))


def test_labels_above_16_bits_and_crowded_fields_are_read(tmp_path):
    full = np.arange(600, dtype=np.int32).reshape(SHAPE) + 100_000
    tifffile.imwrite(tmp_path / "m.tif", full)
    masks = load_label_image(tmp_path / "m.tif", SHAPE)
    assert masks.ids.tolist() == full.ravel().tolist()
    assert (masks.rows * 30 + masks.cols).tolist() == list(range(600))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [".npy", ".tif"])
def test_labels_that_are_stored_as_whole_floats_are_read(tmp_path, kind, dtype):
    save(tmp_path / f"m{kind}", make_labels(dtype))
    masks = load_label_image(tmp_path / f"m{kind}", SHAPE)
    assert masks.ids.tolist() == [2, 3, 200]
    assert np.diff(masks.indptr).tolist() == [1, 5, 1]


# what is wrong -> image, words of the error
BAD = {
    "another field": (np.zeros((30, 20), np.uint8), "is 30 x 20, the field has 20"),
    "a stack": (
        np.zeros((2, 20, 30), np.uint8),
        r"has 3 axes, \[2, 20, 30\]; save the labels",
    ),
    "brightness": (np.full(SHAPE, 0.5, np.float32), "holds float32; .* whole numbers"),
    "no number": (np.full(SHAPE, np.nan), "holds float64; .* whole numbers"),
    "one mask for all": (np.ones(SHAPE, bool), "holds bool; .* whole numbers"),
    "negative": (np.full(SHAPE, -1, np.int16), "holds the label -1"),
}


@pytest.mark.parametrize("case", BAD)
def test_images_that_are_not_labels_of_this_field_are_refused(tmp_path, case):
    image, words = BAD[case]
    np.save(tmp_path / "m.npy", image)
    with pytest.raises(UserError, match=words):
        load_label_image(tmp_path / "m.npy", SHAPE)


def test_colour_images_are_refused(tmp_path):
    save_png(tmp_path / "m.png", np.zeros((*SHAPE, 3), np.uint8), "rgb24")
    with pytest.raises(UserError, match="rgb24 pixels; a label image is grey"):
        load_label_image(tmp_path / "m.png", SHAPE)
