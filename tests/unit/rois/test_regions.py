from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.rois.readers.regions import load_regions, save_regions
from rtrecon.rois.roi_set import build_roi_set

SHAPE = (20, 30)
REGIONS = "twophoton/neurofinder_regions.json"


def written(path: Path, regions: object) -> Path:
    path.write_text(json.dumps(regions), encoding="utf-8")
    return path


def test_pixels_of_regions_without_weights_weigh_the_same(tmp_path):
    regions = [{"coordinates": [[1, 2], [1, 3]]}, {"coordinates": [[4, 5]], "x": 1}]
    masks = load_regions(written(tmp_path / "r.json", regions), SHAPE)
    assert masks.ids.tolist() == [0, 1]
    assert masks.rows.tolist() == [1, 1, 4]
    assert masks.cols.tolist() == [2, 3, 5]
    assert masks.weights.tolist() == [0.5, 0.5, 1.0]
    assert masks.planes.tolist() == [0, 0]


def test_ids_planes_and_weights_are_read_if_given(tmp_path):
    regions = [
        {"id": 9, "coordinates": [[4, 5], [4, 6]], "weights": [1, 3], "plane": 2},
        {"id": -3, "coordinates": [[1, 2]]},
    ]
    masks = load_regions(written(tmp_path / "r.json", regions), SHAPE)
    assert masks.ids.tolist() == [9, -3]
    assert masks.planes.tolist() == [2, 0]
    assert masks.weights.tolist() == [0.25, 0.75, 1.0]


def test_saved_regions_are_read_back_unchanged(tmp_path):
    rng = np.random.default_rng(0)
    pixels = [
        (rng.integers(20, size=n), rng.integers(30, size=n), rng.random(n))
        for n in (7, 1, 0, 40)
    ]
    ids, planes = np.array([4, 2, 9, 1 << 60]), np.array([0, 1, 1, 0], np.int32)
    masks = build_roi_set(ids, SHAPE, pixels, planes)
    save_regions(tmp_path / "r.json", masks)
    back = load_regions(tmp_path / "r.json", SHAPE)
    for name in ("ids", "indptr", "rows", "cols", "weights", "planes"):
        np.testing.assert_array_equal(getattr(back, name), getattr(masks, name), name)


def test_an_unwritable_path_is_refused(tmp_path):
    masks = build_roi_set(np.array([]), SHAPE, [])
    with pytest.raises(UserError, match="masks cannot be written to"):
        save_regions(tmp_path / "no such folder" / "r.json", masks)


# contents of a .json file -> words of the sentence
BAD = {
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
    "ids for some": (
        '[{"coordinates": [[1, 2]], "id": 1}, {"coordinates": [[1, 2]]}]',
        "1 of 2 regions have an id",
    ),
    "one id twice": (
        '[{"coordinates": [[1, 2]], "id": 1}, {"coordinates": [[1, 2]], "id": 1}]',
        "2 ROIs have the id 1",
    ),
    "a weight missing": ('[{"coordinates": [[1, 2]], "weights": []}]', "0 weights"),
    "a plane below": ('[{"coordinates": [[1, 2]], "plane": -1}]', "plane"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_regions_are_refused_with_the_reason(tmp_path, case):
    text, words = BAD[case]
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UserError, match=words):
        load_regions(tmp_path / "r.json", SHAPE)


def test_real_regions_fit_their_field_and_not_a_smaller_one(shared_data):
    path = shared_data / REGIONS
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    masks = load_regions(path, (512, 512))
    assert len(masks) == 330
    assert masks.ids[0] == json.loads(path.read_text())[0]["id"]
    assert np.isfinite(masks.compute_centers()).all()
    with pytest.raises(UserError, match="outside the field of 256 lines"):
        load_regions(path, (256, 256))
