"""CaImAn's masks, and files that do not fit the field."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.sparse import csc_matrix

from rtrecon.core.errors import UserError
from rtrecon.rois.readers.caiman import load_caiman

SHAPE = (20, 30)


def make_components() -> np.ndarray:
    """Return three components (n, lines, pixels): of 3 pixels, of 1 and of none."""
    images = np.zeros((3, *SHAPE))
    images[0, 4, 7], images[0, 5, 7], images[0, 4, 8] = 1, 2, 1
    images[1, 19, 29] = 5
    return images


def save_caiman(path: Path, images: np.ndarray, **changed: object) -> Path:
    """Write a file as CaImAn's `save` does: A by columns, pixels in Fortran order.

    CaImAn writes None as the text 'NoneType'. changed: values under estimates.
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


def test_pixels_are_counted_in_fortran_order(tmp_path):
    path = save_caiman(tmp_path / "r.hdf5", make_components())
    masks = load_caiman(path, SHAPE, only_cells=True)
    assert masks.ids.tolist() == [0, 1, 2]
    assert np.diff(masks.indptr).tolist() == [3, 1, 0]
    for (rows, cols, weights), image in zip(
        masks.list_pixels(), make_components(), strict=True
    ):
        drawn = np.zeros(SHAPE)
        drawn[rows, cols] = weights
        np.testing.assert_allclose(drawn, image / max(image.sum(), 1))


@pytest.mark.parametrize(
    ("selected", "only_cells", "ids"),
    [
        (np.array([2, 0]), True, [2, 0]),
        (np.array([2, 0]), False, [0, 1, 2]),
        (None, True, [0, 1, 2]),
        (np.array([]), True, []),
    ],
    ids=["selected, in their order", "all", "no selection made", "none selected"],
)
def test_idx_components_selects_the_cells(tmp_path, selected, only_cells, ids):
    path = save_caiman(tmp_path / "r.hdf5", make_components(), idx_components=selected)
    assert load_caiman(path, SHAPE, only_cells).ids.tolist() == ids


def test_the_field_size_is_found_where_any_version_stores_it(tmp_path):
    path = save_caiman(tmp_path / "r.hdf5", make_components(), dims=None)
    with pytest.raises(UserError, match="does not store the size of the field"):
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
def test_inconsistent_files_are_refused(tmp_path, case):
    changed, words = BAD[case]
    path = save_caiman(tmp_path / "r.hdf5", make_components(), **changed)
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
    path = save_caiman(tmp_path / "r.hdf5", make_components())
    with h5py.File(path, "a") as file:
        del file[f"estimates/A/{name}"]
        file[f"estimates/A/{name}"] = value
    with pytest.raises(UserError, match=words):
        load_caiman(path, SHAPE, only_cells=True)


def test_an_hdf5_file_of_another_program_is_refused(tmp_path):
    h5py.File(tmp_path / "r.hdf5", "w").close()
    with pytest.raises(UserError, match="does not store the size"):
        load_caiman(tmp_path / "r.hdf5", SHAPE, only_cells=True)
