from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.sparse import csc_matrix

from rtrecon.core.errors import UserError
from rtrecon.rois.readers.caiman import load_caiman

SHAPE = (20, 30)


def components() -> np.ndarray:
    """Three components, (n, lines, pixels); one of one pixel, one of none."""
    images = np.zeros((3, *SHAPE))
    images[0, 4, 7], images[0, 5, 7], images[0, 4, 8] = 1, 2, 1
    images[1, 19, 29] = 5
    return images


def saved(path: Path, images: np.ndarray, **changed: object) -> Path:
    """Write what CaImAn's `save` does: A by columns, pixels down the lines first.

    None is the text 'NoneType'; `changed` are values under estimates.
    """
    flat = np.stack([image.ravel(order="F") for image in images], 1)
    sparse = csc_matrix(flat)
    values = {"dims": images.shape[1:], "C": np.ones((len(images), 9))} | changed
    with h5py.File(path, "w") as file:
        estimates = file.create_group("estimates")
        if "A" not in values:
            for name in ("data", "indptr", "indices", "shape"):
                estimates[f"A/{name}"] = getattr(sparse, name)
        for name, value in values.items():
            estimates[name] = "NoneType" if value is None else value
        file["dims"] = "NoneType"
        file["params/data/fr"] = 30
    return path


def test_pixels_are_counted_down_the_lines(tmp_path):
    path = saved(tmp_path / "r.hdf5", components())
    masks = load_caiman(path, SHAPE, only_cells=True)
    assert masks.ids.tolist() == [0, 1, 2]
    assert np.diff(masks.indptr).tolist() == [3, 1, 0]
    for (rows, cols, weights), image in zip(masks.pixels(), components(), strict=True):
        drawn = np.zeros(SHAPE)
        drawn[rows, cols] = weights
        np.testing.assert_allclose(drawn, image / max(image.sum(), 1))


@pytest.mark.parametrize(
    ("chosen", "only_cells", "ids"),
    [
        (np.array([2, 0]), True, [2, 0]),
        (np.array([2, 0]), False, [0, 1, 2]),
        (None, True, [0, 1, 2]),
        (np.array([]), True, []),
    ],
    ids=["chosen, in their order", "all wanted", "no choice made", "none chosen"],
)
def test_idx_components_selects(tmp_path, chosen, only_cells, ids):
    path = saved(tmp_path / "r.hdf5", components(), idx_components=chosen)
    assert load_caiman(path, SHAPE, only_cells).ids.tolist() == ids


def test_the_fields_size_is_found_where_other_versions_wrote_it(tmp_path):
    path = saved(tmp_path / "r.hdf5", components(), dims=None)
    with pytest.raises(UserError, match="says nowhere how large the field was"):
        load_caiman(path, SHAPE, only_cells=True)
    with h5py.File(path, "a") as file:
        del file["dims"]
        file["dims"] = SHAPE
    assert len(load_caiman(path, SHAPE, only_cells=True)) == 3


# values under estimates, changed -> words of the sentence
BAD = {
    "another field": ({"dims": (30, 20)}, "field of 30 x 20, not of 20 lines x 30"),
    "a volume": ({"dims": (20, 30, 4)}, "field of 20 x 30 x 4, not of 20 lines"),
    "no components": ({"A": None}, "holds no components"),
    "another choice": ({"idx_components": [0, 3]}, "reaches 3, but A holds 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_together_is_refused(tmp_path, case):
    changed, words = BAD[case]
    path = saved(tmp_path / "r.hdf5", components(), **changed)
    with pytest.raises(UserError, match=words):
        load_caiman(path, SHAPE, only_cells=True)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("indices", np.array([4, 5, 6, 600]), "cannot be read"),
        ("indptr", np.array([0, 9, 4, 4]), "cannot be read"),
        ("data", np.array([1.0, np.nan, 1.0, 1.0]), "ROI 0 has weights .* nan"),
        ("shape", np.array([900, 3]), "components have 900 pixels, the field has 600"),
    ],
)
def test_damaged_components_are_refused(tmp_path, name, value, words):
    path = saved(tmp_path / "r.hdf5", components())
    with h5py.File(path, "a") as file:
        del file[f"estimates/A/{name}"]
        file[f"estimates/A/{name}"] = value
    with pytest.raises(UserError, match=words):
        load_caiman(path, SHAPE, only_cells=True)


def test_another_hdf5_file_is_none_of_caimans(tmp_path):
    h5py.File(tmp_path / "r.hdf5", "w").close()
    with pytest.raises(UserError, match="says nowhere"):
        load_caiman(tmp_path / "r.hdf5", SHAPE, only_cells=True)
