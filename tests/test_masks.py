from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from rtrecon.errors import UserError
from rtrecon.sources.masks import load_rois

SHAPE = (20, 30)
DATA = Path(__file__).parents[2] / "shared" / "data" / "twophoton"
REGIONS = DATA / "neurofinder_regions.json"


def roi(row, col, **fields):
    """A neuron of three pixels in Suite2p's words, with some that are not needed."""
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


def save_stat(folder: Path, rois: list, is_cell=None) -> Path:
    stat = np.empty(len(rois), object)
    stat[:] = rois
    np.save(folder / "stat.npy", stat, allow_pickle=True)
    if is_cell is not None:
        np.save(folder / "iscell.npy", np.array(is_cell, float))
    return folder / "stat.npy"


def test_a_suite2p_file_and_its_folder_give_the_same_masks(tmp_path):
    stat = save_stat(tmp_path, [roi(2, 3), roi(10, 20)])
    for path in (stat, tmp_path, str(tmp_path)):
        masks = load_rois(path, SHAPE)
        assert masks.ids.tolist() == [0, 1]
        assert masks.rows.tolist() == [2, 2, 3, 10, 10, 11]
        assert masks.cols.tolist() == [3, 4, 3, 20, 21, 20]
        assert masks.weights.tolist() == [0.25, 0.5, 0.25] * 2


@pytest.mark.parametrize("is_cell", [[[0, 0.1], [1, 0.9], [1, 0.8]], [0, 1, 1]])
def test_only_cells_are_kept_and_ids_are_rows_of_the_file(tmp_path, is_cell):
    save_stat(tmp_path, [roi(2, 3), roi(10, 20), roi(5, 5)], is_cell)
    masks = load_rois(tmp_path, SHAPE)
    assert masks.ids.tolist() == [1, 2]
    assert masks.rows[0] == 10


def test_pixels_shared_with_a_neighbour_are_left_out(tmp_path):
    some, all_ = [True, False, False], [True, True, True]
    rois = [roi(2, 3, overlap=np.array(some)), roi(2, 3, overlap=np.array(all_))]
    masks = load_rois(save_stat(tmp_path, rois), SHAPE)
    assert np.diff(masks.indptr).tolist() == [2, 3]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_way_of_writing_is_read(tmp_path, protocol):
    stat = np.empty(1, object)
    stat[:] = [roi(2, 3)]
    path = tmp_path / "stat.npy"
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
        np.lib.format.write_array_header_1_0(file, header)
        pickle.dump(stat, file, protocol)
    assert load_rois(path, SHAPE).rows.tolist() == [2, 2, 3]


class Payload:
    """Unpickled the usual way, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_file_that_tries_to_run_code_is_refused_and_does_not_run(tmp_path):
    marker = tmp_path / "it ran"
    path = save_stat(tmp_path, [roi(2, 3), Payload(marker)])
    with pytest.raises(UserError, match=r"asks to load io\.open.*was refused"):
        load_rois(path, SHAPE)
    assert not marker.exists()
    np.load(path, allow_pickle=True)[1].close()  # the payload does work
    assert marker.exists()


def without(key):
    return {name: value for name, value in roi(2, 3).items() if name != key}


# what stat.npy holds -> words of the sentence
BAD_STATS = {
    "no weights": ([without("lam")], "ROI 0 of .* lacks usable ypix, xpix and lam"),
    "no dict": ([[1, 2, 3]], "ROI 0 of .* lacks usable"),
    "other lengths": ([roi(1, 1, lam=np.ones(2))], "lacks usable|differ in length"),
    "weights not numbers": ([roi(1, 1, lam=np.array([1, np.nan, 1]))], "has gaps"),
    "outside": ([roi(2, 3), roi(19, 3)], r"ROI 1 reaches pixel .*outside the field"),
}


@pytest.mark.parametrize("case", BAD_STATS)
def test_a_bad_suite2p_roi_is_named(tmp_path, case):
    rois, words = BAD_STATS[case]
    with pytest.raises(UserError, match=words):
        load_rois(save_stat(tmp_path, rois), SHAPE)


def test_iscell_of_another_run_is_refused(tmp_path):
    save_stat(tmp_path, [roi(2, 3)], [[1, 1], [1, 1]])
    with pytest.raises(UserError, match="different runs of Suite2p"):
        load_rois(tmp_path, SHAPE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as a Suite2p stat file"),
        (b"not a npy file at all", "cannot be read as a Suite2p stat file"),
        (b"\x93NUMPY\x01\x00", "cannot be read as a Suite2p stat file"),
    ],
)
def test_a_damaged_stat_file_is_refused(tmp_path, content, words):
    (tmp_path / "stat.npy").write_bytes(content)
    with pytest.raises(UserError, match=words):
        load_rois(tmp_path, SHAPE)


def test_an_array_of_numbers_is_no_stat_file(tmp_path):
    np.save(tmp_path / "stat.npy", np.ones((3, 2)))
    with pytest.raises(UserError, match="an array of float64, not of ROIs"):
        load_rois(tmp_path, SHAPE)


def test_a_pickle_cut_short_is_refused(tmp_path):
    path = save_stat(tmp_path, [roi(2, 3), roi(4, 5)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="cannot be read as a Suite2p stat file"):
        load_rois(path, SHAPE)


def save_regions(path: Path, regions: object) -> Path:
    path.write_text(json.dumps(regions), encoding="utf-8")
    return path


def test_regions_weigh_their_pixels_equally(tmp_path):
    regions = [{"coordinates": [[1, 2], [1, 3]]}, {"id": 9, "coordinates": [[4, 5]]}]
    masks = load_rois(save_regions(tmp_path / "r.json", regions), SHAPE)
    assert masks.ids.tolist() == [0, 1]
    assert masks.rows.tolist() == [1, 1, 4]
    assert masks.cols.tolist() == [2, 3, 5]
    assert masks.weights.tolist() == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("kind", ["stat.npy", "r.json"])
def test_an_empty_list_is_an_empty_set(tmp_path, kind):
    path = tmp_path / kind
    if kind == "r.json":
        save_regions(path, [])
    else:
        save_stat(tmp_path, [], [])
    masks = load_rois(path, SHAPE)
    assert (len(masks), masks.shape, len(masks.rows)) == (0, SHAPE, 0)


# contents of a .json file -> words of the sentence
BAD_REGIONS = {
    "no JSON": ("[{", "is not a list of regions"),
    "no list": ("{}", "is not a list of regions"),
    "no coordinates": ('[{"id": 1}]', "coordinates"),
    "three numbers": ('[{"coordinates": [[1, 2, 3]]}]', "is not a list of regions"),
    "no whole numbers": ('[{"coordinates": [[1.5, 2]]}]', "is not a list of regions"),
    "a bomb": ("[" * 100_000, "is not a list of regions"),
    "outside": ('[{"coordinates": [[1, 30]]}]', "ROI 0 reaches pixel"),
    "negative": ('[{"coordinates": [[-1, 3]]}]', "ROI 0 reaches pixel"),
    "far outside": (
        '[{"coordinates": [[1, 99999999999999999999]]}]',
        "is not a list of regions",
    ),
}


@pytest.mark.parametrize("case", BAD_REGIONS)
def test_bad_regions_are_refused_in_words(tmp_path, case):
    text, words = BAD_REGIONS[case]
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UserError, match=words):
        load_rois(tmp_path / "r.json", SHAPE)


def test_what_is_not_there_or_not_known_says_what_is(tmp_path):
    accepted = "a Suite2p stat.npy, .* or a .json list of regions"
    with pytest.raises(UserError, match=f"do not exist; .*{accepted}"):
        load_rois(tmp_path / "nothing.npy", SHAPE)
    with pytest.raises(UserError, match=f"holds no stat.npy; .*{accepted}"):
        load_rois(tmp_path, SHAPE)
    (tmp_path / "masks.png").write_bytes(b"x")
    with pytest.raises(UserError, match=f"of no known kind; .*{accepted}"):
        load_rois(tmp_path / "masks.png", SHAPE)


@pytest.mark.skipif(not REGIONS.exists(), reason=f"{REGIONS.name} is not here")
def test_real_regions_fit_their_field_and_no_smaller_one():
    masks = load_rois(REGIONS, (512, 512))
    assert len(masks) == 330
    sums = np.add.reduceat(masks.weights, masks.indptr[:-1])
    np.testing.assert_allclose(sums, 1.0, rtol=1e-5)
    assert np.isfinite(masks.centers()).all()
    with pytest.raises(UserError, match="outside the field of 256 lines"):
        load_rois(REGIONS, (256, 256))
