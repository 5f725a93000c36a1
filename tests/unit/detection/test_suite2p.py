"""Suite2p finds what we find, where it is installed; where not, a sentence says so."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.detection import suite2p
from tests.support import detection_world as world

RATE_HZ = 1.0  # of the bins: each already lasts as long as Suite2p likes


def test_it_finds_active_neurons():
    pytest.importorskip("suite2p", reason="Suite2p is not installed")
    rois = suite2p.detect(world.steady(["active"]), world.DIAMETER_PX, RATE_HZ)
    apart = np.linalg.norm(
        rois.centers()[:, None] - np.array(world.PLACES["active"]), axis=2
    )
    assert apart.min(0).max() < 3


def test_without_suite2p_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "suite2p", None)
    with pytest.raises(UserError, match="pip install suite2p"):
        suite2p.detect(world.steady(), world.DIAMETER_PX, RATE_HZ)


def test_without_a_rate_a_sentence_says_so():
    with pytest.raises(UserError, match="frame rate"):
        suite2p.detect(world.steady(), world.DIAMETER_PX, None)
