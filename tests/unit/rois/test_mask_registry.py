"""Masks of every format are read by `load_rois`; bad files are refused."""

from __future__ import annotations

import json
from pkgutil import resolve_name

import numpy as np
import pytest

from rtrecon.config import RoiSettings
from rtrecon.core.errors import UserError
from rtrecon.rois.readers.registry import (
    MASK_FORMATS,
    load_rois,
    load_rois_of_any_field,
)

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


def test_the_error_names_the_file_and_the_roi_of_unusable_weights(tmp_path):
    stat = [{"ypix": [k], "xpix": [k], "lam": [1.0]} for k in range(4)]
    stat[2]["lam"] = [np.nan]
    np.save(tmp_path / "stat.npy", np.array(stat, object))
    words = r"stat.npy cannot be used: ROI 2 has weights that sum to nan; .* no cell"
    with pytest.raises(UserError, match=words):
        load_rois(tmp_path / "stat.npy", SHAPE)
    np.save(tmp_path / "iscell.npy", np.array([1, 1, 0, 1]))
    assert load_rois(tmp_path / "stat.npy", SHAPE).ids.tolist() == [0, 1, 3]


def save_suite2p(folder, ops):
    folder.mkdir(parents=True)
    stat = np.array([{"ypix": [3], "xpix": [4], "lam": [1.0]}], object)
    np.save(folder / "stat.npy", stat)
    np.save(folder / "ops.npy", np.array(ops, object), allow_pickle=True)
    return folder


@pytest.mark.parametrize("transpose", [False, True])
def test_the_field_of_masks_is_the_one_that_their_file_stores(tmp_path, transpose):
    settings = RoiSettings(transpose=transpose)
    labels = np.zeros((20, 30), np.uint16)
    labels[3, 4] = 1
    np.save(tmp_path / "labels.npy", labels)
    suite2p = save_suite2p(tmp_path / "plane0", {"Ly": 20, "Lx": 30})
    for path in (tmp_path / "labels.npy", suite2p):
        rois = load_rois_of_any_field(path, settings, (8, 8))
        assert rois.shape == ((30, 20) if transpose else (20, 30))
        assert (rois.rows[0], rois.cols[0]) == ((4, 3) if transpose else (3, 4))


def test_the_field_of_other_masks_is_a_usual_one_that_holds_them(tmp_path):
    near = save_regions(tmp_path / "near.json", [[3, 4]])
    assert load_rois_of_any_field(near, None, (8, 9)).shape == (8, 9)
    far = save_regions(tmp_path / "far.json", [[900, 4], [901, 4]])
    assert load_rois_of_any_field(far, None, (8, 9)).shape == (902, 9)
    suite2p = save_suite2p(tmp_path / "plane0", {"fs": 30.0})
    assert load_rois_of_any_field(suite2p, None, (2, 2)).shape == (4, 5)
    with pytest.raises(UserError, match="do not exist"):
        load_rois_of_any_field(tmp_path / "none.npy", None, (8, 9))


def test_every_registered_reader_and_test_can_be_imported():
    for entry in MASK_FORMATS:
        assert callable(resolve_name(entry.reader))
        assert not entry.shape_finder or callable(resolve_name(entry.shape_finder))
        assert not entry.test or callable(resolve_name(entry.test))
