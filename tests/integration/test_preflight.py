"""`rtrecon check` accepts the masks of a field of any size, as `rtrecon run` does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtrecon.config import RoiSettings
from rtrecon.diagnostics.preflight import run_preflight
from rtrecon.testing.daemon_process import make_settings


def write_regions(folder):
    (folder / "r.json").write_text(json.dumps([{"coordinates": [[900, 900]]}]))
    return folder / "r.json"


def write_labels(folder):
    labels = np.zeros((96, 200), np.uint16)
    labels[10:15, 10:15] = 1
    np.save(folder / "labels.npy", labels)
    return folder / "labels.npy"


def write_suite2p(folder, n_planes: int = 1):
    stat = np.empty(1, object)
    stat[0] = {"ypix": [10, 11], "xpix": [10, 11], "lam": [1.0, 1.0]}
    for k in range(n_planes):
        plane = folder / "suite2p" / f"plane{k}"
        plane.mkdir(parents=True)
        np.save(plane / "stat.npy", stat)
        np.save(plane / "ops.npy", np.array({"Ly": 64, "Lx": 80}, object))
    return folder / "suite2p"


def write_two_planes(folder):
    return write_suite2p(folder, 2)


@pytest.mark.parametrize(
    ("write", "size"),
    [
        (write_regions, "901 x 901"),
        (write_labels, "96 x 200"),
        (write_suite2p, "64 x 80"),
        (write_two_planes, "64 x 80"),
    ],
)
def test_masks_of_a_field_of_any_size_pass_the_check(tmp_path, write, size):
    settings = make_settings(tmp_path, rois=RoiSettings(path=write(tmp_path)))
    notices = list(run_preflight(settings))
    assert any(f"for {size} and 1 neurons: sustains" in notice for notice in notices)
