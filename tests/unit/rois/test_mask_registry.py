"""Masks of every format are read by `load_rois`; bad files are refused."""

from __future__ import annotations

import json
from pkgutil import resolve_name

import numpy as np
import pytest

from rtrecon.config import RoiSettings
from rtrecon.core.errors import UserError
from rtrecon.rois.readers.registry import MASK_FORMATS, load_rois

SHAPE = (20, 30)
ACCEPTED = "a Suite2p stat.npy or .* a CaImAn .hdf5, an .nwb .* label image .* regions"


def save_regions(path, *coordinates):
    path.write_text(json.dumps([{"coordinates": each} for each in coordinates]))
    return path


def test_missing_and_unknown_files_are_refused_with_the_accepted_formats(tmp_path):
    with pytest.raises(UserError, match=f"do not exist; .*{ACCEPTED}"):
        load_rois(tmp_path / "nothing.npy", SHAPE)
    (tmp_path / "masks.mat").write_bytes(b"x")
    with pytest.raises(UserError, match=f"of an unknown format; .*{ACCEPTED}"):
        load_rois(tmp_path / "masks.mat", SHAPE)


def test_the_format_follows_from_the_suffix_and_for_npy_from_the_content(tmp_path):
    labels = np.zeros(SHAPE, np.uint16)
    labels[3, 4] = 7
    np.save(tmp_path / "labels.npy", labels)
    assert load_rois(tmp_path / "labels.npy", SHAPE).ids.tolist() == [7]
    stat = np.array([{"ypix": [3], "xpix": [4], "lam": [1.0]}], object)
    np.save(tmp_path / "stat.npy", stat)
    assert load_rois(str(tmp_path / "stat.npy"), SHAPE).ids.tolist() == [0]
    regions = save_regions(tmp_path / "REGIONS.JSON", [[3, 4]])
    assert load_rois(regions, SHAPE).rows.tolist() == [3]


@pytest.mark.parametrize("name", ["m.hdf5", "m.h5", "m.nwb", "m.tif", "m.png", "m.npy"])
def test_a_damaged_file_of_any_format_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"no such thing")
    with pytest.raises(UserError, match=rf"{name} cannot be read"):
        load_rois(tmp_path / name, SHAPE)


def test_masks_can_be_transposed(tmp_path):
    path = save_regions(tmp_path / "r.json", [[25, 3], [26, 4]])
    with pytest.raises(UserError, match=r"outside the field .* or transposed"):
        load_rois(path, SHAPE)
    masks = load_rois(path, SHAPE, RoiSettings(transpose=True))
    assert masks.shape == SHAPE
    assert (masks.rows.tolist(), masks.cols.tolist()) == ([3, 4], [25, 26])


def test_a_file_without_cells_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"contain no cell; set rois.only_cells = false"
    ):
        load_rois(save_regions(tmp_path / "r.json"), SHAPE)
    everything = RoiSettings(only_cells=False)
    with pytest.raises(UserError, match=r"contain no cell$"):
        load_rois(tmp_path / "r.json", SHAPE, everything)


def test_rois_of_one_pixel_and_of_none_stay_in_order(tmp_path):
    path = save_regions(tmp_path / "r.json", [[1, 2]], [], [[3, 4], [3, 5]])
    masks = load_rois(path, SHAPE)
    assert masks.ids.tolist() == [0, 1, 2]
    assert np.diff(masks.indptr).tolist() == [1, 0, 2]
    assert np.isnan(masks.compute_centers()[1]).all()


def test_every_registered_reader_and_test_can_be_imported():
    for entry in MASK_FORMATS:
        assert callable(resolve_name(entry.reader))
        assert not entry.test or callable(resolve_name(entry.test))
