"""Requests that `find_rois` refuses, and how it chooses diameter and method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.detection.find_rois import DetectionRequest, find_rois
from rtrecon.sources import RecordingHints
from rtrecon.testing import scanimage_file
from tests.support.detection_world import ignore_progress

WRONG = {
    "no folder": ({"out": Path("nowhere") / "rois.json"}, "nowhere"),
    "no folder for the picture": ({"picture": Path("nowhere") / "a.png"}, "nowhere"),
    "diameter too small": ({"diameter_px": 1.0}, "1 px"),
    "diameter not a number": ({"diameter_px": float("nan")}, "nan px"),
    "um without a scale": ({"diameter_um": 12.0}, "in pixels"),
    "no such plane": ({"plane": 1}, "plane 1 is not in"),
    "no such channel": ({"hints": RecordingHints(channel=3)}, "channel 3"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_impossible_request_is_refused_at_once(tmp_path: Path, case: str):
    changes, words = WRONG[case]
    pixels = scanimage_file.make_pages(30, (32, 32))
    recording = scanimage_file.write_scanimage(tmp_path / "si.tif", pixels)
    request = {"recording": recording, "out": tmp_path / "rois.json", **changes}
    with pytest.raises(UserError, match=words):
        find_rois(DetectionRequest(**request), ignore_progress)


SCALED = {
    "SI.hRoiManager.imagingFovUm": "[0 0;64 0;64 64;0 64]",  # 2 um per px
    "SI.hRoiManager.linesPerFrame": "32",
    "SI.hRoiManager.pixelsPerLine": "32",
}


@pytest.mark.parametrize(
    ("given", "settings", "expected_px"),
    [
        ({}, {}, 10.0),
        ({}, SCALED, 5.0),
        ({"diameter_um": 16.0}, SCALED, 8.0),
        ({"diameter_px": 7.0}, SCALED, 7.0),
    ],
)
def test_the_diameter_is_given_or_follows_from_the_scale(
    tmp_path: Path, given, settings, expected_px
):
    still = np.repeat(scanimage_file.make_pages(1, (32, 32)), 30, axis=0)
    path = scanimage_file.write_scanimage(tmp_path / "a.tif", still, settings=settings)
    found = find_rois(
        DetectionRequest(path, tmp_path / "rois.json", **given), ignore_progress
    )
    assert found.diameter_px == pytest.approx(expected_px)


@pytest.mark.parametrize("method", ["builtin", "auto"])
def test_without_suite2p_the_builtin_detector_is_used(
    tmp_path: Path, monkeypatch, method
):
    monkeypatch.setattr("rtrecon.detection.find_rois.find_spec", lambda _name: None)
    still = np.repeat(scanimage_file.make_pages(1, (32, 32)), 30, axis=0)
    path = scanimage_file.write_scanimage(tmp_path / "a.tif", still)
    found = find_rois(
        DetectionRequest(path, tmp_path / "rois.json", method=method), ignore_progress
    )
    assert found.method == "builtin"
