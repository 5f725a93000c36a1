"""Suite2p's masks of one plane and of several, and damaged files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.rois.readers.suite2p import load_suite2p

SHAPE = (20, 30)


def make_roi(row, col, **fields):
    """Return an ROI of three pixels with Suite2p's keys, also unused ones."""
    return {
        "ypix": np.array([row, row, row + 1], np.int32),
        "xpix": np.array([col, col + 1, col], np.int32),
        "lam": np.array([1.0, 2.0, 1.0], np.float32),
        "overlap": np.array([False, False, False]),
        "med": [row, col],
        "radius": np.float64(1.2),
        "npix": 3,
        "soma_crop": np.ones(3, bool),
    } | fields


def save_plane(folder: Path, rois: list, is_cell=None, **settings: dict) -> Path:
    """Write the folder of a plane: stat.npy, iscell.npy, and settings files."""
    folder.mkdir(exist_ok=True)
    stat = np.empty(len(rois), object)
    stat[:] = rois
    np.save(folder / "stat.npy", stat, allow_pickle=True)
    if is_cell is not None:
        np.save(folder / "iscell.npy", np.array(is_cell, float))
    for name, content in settings.items():
        np.save(folder / f"{name}.npy", np.array(content, object))
    return folder


def test_a_file_and_its_folder_give_the_same_masks(tmp_path):
    save_plane(tmp_path, [make_roi(2, 3), make_roi(10, 20)])
    for path in (tmp_path, tmp_path / "stat.npy"):
        masks = load_suite2p(path, SHAPE, only_cells=True)
        assert masks.ids.tolist() == [0, 1]
        assert masks.planes.tolist() == [0, 0]
        assert masks.rows.tolist() == [2, 2, 3, 10, 10, 11]
        assert masks.cols.tolist() == [3, 4, 3, 20, 21, 20]
        assert masks.weights.tolist() == [0.25, 0.5, 0.25] * 2


@pytest.mark.parametrize("is_cell", [[[0, 0.1], [1, 0.9], [1, 0.8]], [0, 1, 1]])
def test_only_cells_are_read_unless_only_cells_is_false(tmp_path, is_cell):
    save_plane(tmp_path, [make_roi(2, 3), make_roi(10, 20), make_roi(5, 5)], is_cell)
    cells = load_suite2p(tmp_path, SHAPE, only_cells=True)
    assert cells.ids.tolist() == [1, 2]  # rows of stat.npy
    assert cells.rows[0] == 10
    assert load_suite2p(tmp_path, SHAPE, only_cells=False).ids.tolist() == [0, 1, 2]


def test_overlapping_pixels_stay_in_the_masks(tmp_path):
    shared = make_roi(2, 3, overlap=np.array([True, False, True]))
    masks = load_suite2p(save_plane(tmp_path, [shared]), SHAPE, only_cells=True)
    assert masks.weights.tolist() == [0.25, 0.5, 0.25]


# Suite2p before 1.0 kept all in ops.npy; since 2026 the size is in db.npy.
OLD = {"ops": {"Ly": 20, "Lx": 30, "meanImg": np.ones(SHAPE), "nplanes": 1}}
NEW = {
    "db": {"Ly": 20, "Lx": 30, "data_path": ["somewhere"]},
    "ops": {"tau": 0.7, "run": {"do_registration": 1}},
    "settings": {"detection": {"algorithm": "sparsery"}},
    "detect_outputs": {"max_proj": np.ones((16, 26)), "diameter": [12, 12]},
}


@pytest.mark.parametrize("layout", [OLD, NEW, {}], ids=["old", "2026", "masks alone"])
def test_the_field_size_is_checked_if_suite2p_stored_it(tmp_path, layout):
    save_plane(tmp_path, [make_roi(2, 3)], [1], **layout)
    assert len(load_suite2p(tmp_path, SHAPE, only_cells=True)) == 1
    if layout:
        with pytest.raises(UserError, match=r"20 lines x 30 .* not of 40 x 60"):
            load_suite2p(tmp_path, (40, 60), only_cells=True)


def test_settings_that_would_load_other_classes_are_refused(tmp_path):
    save_plane(tmp_path, [make_roi(2, 3)], ops={"Ly": 20, "Lx": 30, "fs": Fraction(30)})
    with pytest.raises(UserError, match=r"fractions.Fraction.* without ops.npy"):
        load_suite2p(tmp_path, SHAPE, only_cells=True)
    (tmp_path / "ops.npy").unlink()
    assert len(load_suite2p(tmp_path, SHAPE, only_cells=True)) == 1


def test_the_planes_of_a_run_are_read_with_their_numbers(tmp_path):
    save_plane(tmp_path / "plane10", [make_roi(6, 6)], [1], **NEW)
    save_plane(tmp_path / "plane2", [make_roi(2, 3), make_roi(4, 4)], [0, 1], **NEW)
    save_plane(
        tmp_path / "plane0",
        [make_roi(8, 8), make_roi(9, 9), make_roi(1, 1)],
        [1, 0, 1],
        **NEW,
    )
    (tmp_path / "plane1").mkdir()  # where nothing was found
    save_plane(tmp_path / "combined", [make_roi(8, 38)])
    masks = load_suite2p(tmp_path, SHAPE, only_cells=True)
    assert masks.planes.tolist() == [0, 0, 2, 10]
    assert masks.ids.tolist() == [0, 2, 4, 5]  # rows of combined/stat.npy
    assert masks.rows[masks.indptr[:-1]].tolist() == [8, 1, 4, 6]
    everything = load_suite2p(tmp_path, SHAPE, only_cells=False)
    assert everything.ids.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_plane_of_another_size_is_named(tmp_path):
    save_plane(tmp_path / "plane0", [make_roi(2, 3)], **NEW)
    save_plane(tmp_path / "plane1", [make_roi(2, 3)], db={"Ly": 40, "Lx": 30})
    with pytest.raises(UserError, match="plane1 were made on a field of 40 lines"):
        load_suite2p(tmp_path, SHAPE, only_cells=True)


def test_the_combined_view_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"side by side .* name the folder above"):
        load_suite2p(
            save_plane(tmp_path / "combined", [make_roi(2, 3)]), SHAPE, only_cells=True
        )


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no stat.npy, and no plane0"):
        load_suite2p(tmp_path, SHAPE, only_cells=True)


def without(key):
    return {name: value for name, value in make_roi(2, 3).items() if name != key}


# what is wrong -> content of stat.npy, words of the error
BAD = {
    "no weights": ([without("lam")], "ROI 0 of .* lacks usable ypix, xpix and lam"),
    "no dict": ([[1, 2, 3]], "ROI 0 of .* lacks usable"),
    "other lengths": (
        [make_roi(1, 1, lam=np.ones(2))],
        "ROI 0 has 3 rows, .* 2 weights",
    ),
    "no list": ([make_roi(1, 1, lam=np.float32(1))], "ROI 0 of .* must be lists"),
    "weights not numbers": (
        [make_roi(1, 1, lam=np.array([1, np.nan, 1]))],
        "ROI 0 .* nan",
    ),
    "outside": (
        [make_roi(2, 3), make_roi(19, 3)],
        r"ROI 1 reaches pixel .*outside the field",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_roi_is_named(tmp_path, case):
    rois, words = BAD[case]
    with pytest.raises(UserError, match=words):
        load_suite2p(save_plane(tmp_path, rois), SHAPE, only_cells=True)


def test_a_single_dict_is_refused(tmp_path):
    np.save(tmp_path / "stat.npy", np.array(make_roi(2, 3), object))
    with pytest.raises(UserError, match="no list of ROIs"):
        load_suite2p(tmp_path, SHAPE, only_cells=True)


@pytest.mark.parametrize("table", [[[1, 1], [1, 1]], [[]], 1.0])
def test_iscell_of_another_run_is_refused(tmp_path, table):
    save_plane(tmp_path, [make_roi(2, 3)], table)
    with pytest.raises(UserError, match="different runs of Suite2p"):
        load_suite2p(tmp_path, SHAPE, only_cells=True)
