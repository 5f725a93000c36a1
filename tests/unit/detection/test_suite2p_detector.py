"""Suite2p's detector finds active neurons, and an error names what it lacks."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.detection import suite2p_detector
from tests.support import detection_world as world

RATE_HZ = 1.0  # of the bins: each lasts one second, as Suite2p prefers


def test_suite2p_finds_active_neurons():
    pytest.importorskip("suite2p", reason="Suite2p is not installed")
    rois = suite2p_detector.detect_neurons(
        world.make_movie(["active"]), world.DIAMETER_PX, RATE_HZ
    )
    distance_px = np.linalg.norm(
        rois.compute_centers()[:, None] - np.array(world.CENTERS["active"]), axis=2
    )
    assert distance_px.min(0).max() < 3


def test_without_suite2p_the_error_tells_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "suite2p", None)
    with pytest.raises(UserError, match="pip install suite2p"):
        suite2p_detector.detect_neurons(world.make_movie(), world.DIAMETER_PX, RATE_HZ)


def test_without_a_rate_the_error_asks_for_it():
    with pytest.raises(UserError, match="frame rate"):
        suite2p_detector.detect_neurons(world.make_movie(), world.DIAMETER_PX, None)
