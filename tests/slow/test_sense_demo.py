"""The demos of sound and touch, with real processes, from spikes to report."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.demo.sense import SenseDemoRequest, run_sense_demo
from rtrecon.session.session import Session
from rtrecon.simulate.senses import find_sense
from rtrecon.stimulus_space.registry import SPACES


@pytest.mark.parametrize("sense", ["sound", "touch"])
def test_a_short_demo_reconstructs_live_and_leaves_its_files(sense, tmp_path):
    """The real daemon and inverter; how good it is depends on the machine's load."""
    request = SenseDemoRequest(sense, 4.0, True, tmp_path)
    summary = run_sense_demo(request, print, lambda done, total: None)
    n_frames = round(4.0 * SPACES[sense].rate_hz)
    assert summary["frames_sent"] == summary["frames_received"] == n_frames
    left = {file.name for file in tmp_path.iterdir()}
    assert {"summary.json", "report.html", "reconstruction.png"} <= left
    [folder] = (tmp_path / "session").iterdir()
    recorded = Session(folder)
    assert recorded.about.stimulus_space == SPACES[sense]
    assert len(recorded.stimulus) == n_frames
    shown = recorded.stimulus.read_values()
    expected = find_sense(sense).make_stimulus(n_frames, 5001)
    np.testing.assert_array_equal(shown, expected)
    assert len(recorded.movie)
