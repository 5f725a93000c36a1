"""Pixel indices of Suite2p that are not whole numbers are refused, not cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.rois.readers.registry import load_rois

SHAPE = (32, 32)


def save_stat(folder: Path, ypix: list[float], xpix: list[float]) -> Path:
    stat = np.empty(1, object)
    lam = np.ones(len(ypix), np.float32)
    stat[0] = {"ypix": np.array(ypix), "xpix": np.array(xpix), "lam": lam}
    np.save(folder / "stat.npy", stat)
    return folder / "stat.npy"


def test_whole_numbers_of_any_type_are_read(tmp_path):
    rois = load_rois(save_stat(tmp_path, [3.0, 4.0], [5, 6]), SHAPE)
    assert (rois.rows.tolist(), rois.cols.tolist()) == ([3, 4], [5, 6])


@pytest.mark.parametrize("indices", [[3.5, 4.5], [np.nan, 4.0]])
def test_other_numbers_are_refused(tmp_path, indices):
    with pytest.raises(UserError, match="whole numbers"):
        load_rois(save_stat(tmp_path, indices, [5, 6]), SHAPE)
