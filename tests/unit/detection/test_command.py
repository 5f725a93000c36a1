"""From a recording to masks and picture, on real and on simulated neurons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from matplotlib.image import imread

from rtrecon.core.errors import UserError
from rtrecon.detection.command import Plan, find_rois
from rtrecon.detection.score import score
from rtrecon.rois.readers.any_file import load_rois
from rtrecon.rois.readers.regions import load_regions
from rtrecon.rois.roi_set import from_pixels
from rtrecon.simulate.microscope import make_field, record
from rtrecon.testing import scanimage_file

# The crop of neurofinder 00.00: its first row and column in the full field.
TOP, LEFT, SIDE = 150, 20, 256
FULL = (512, 512)


def quiet(*_told):
    """What is reported, nobody reads."""


def marked(path: Path):
    """The neurons marked by hand whose middles lie in the crop, in its coordinates."""
    pixels = []
    for rows, cols, weights in load_regions(path, FULL).pixels():
        rows, cols = rows - TOP, cols - LEFT
        if 0 <= min(rows.mean(), cols.mean()) <= max(rows.mean(), cols.mean()) < SIDE:
            own = (np.minimum(rows, cols) >= 0) & (np.maximum(rows, cols) < SIDE)
            pixels.append((rows[own], cols[own], weights[own]))
    return from_pixels(np.arange(len(pixels)), (SIDE, SIDE), pixels)


def test_neurons_marked_by_hand_are_found(shared_data: Path, tmp_path: Path):
    """Precision 0.57, recall 0.68, F1 0.62, on the field the detector was made on."""
    movie = shared_data / "twophoton" / "crop256_600frames_u16.npz"
    regions = shared_data / "twophoton" / "neurofinder_regions.json"
    if not (movie.exists() and regions.exists()):
        pytest.skip(f"no hand-marked recording in {movie.parent}")
    with np.load(movie) as data:
        tifffile.imwrite(tmp_path / "crop.tif", data["movie"], photometric="minisblack")
    found = find_rois(Plan(tmp_path / "crop.tif", tmp_path / "rois.json"), quiet)
    result = score(found.rois, marked(regions), max_distance_px=5)
    assert result.precision > 0.5
    assert result.recall > 0.6


def simulated(path: Path, n_neurons=60, side_px=160, n_frames=240) -> object:
    """Write a recording as ScanImage would; returns the true masks."""
    field = make_field(n_neurons, side_px, seed=4)
    spikes = np.random.default_rng(0).poisson(0.03, (n_frames, n_neurons))
    recording = record(field, spikes.astype(np.float32), 30.0, seed=4)
    blank = np.empty((side_px, side_px), np.int16)
    frames = np.stack([recording.frame(i, blank).copy() for i in range(n_frames)])
    scanimage_file.write_scanimage(path, frames)
    return field.masks


def test_simulated_neurons_are_found_written_and_drawn(tmp_path: Path):
    truth = simulated(tmp_path / "sim.tif")
    out, picture = tmp_path / "rois.json", tmp_path / "rois.png"
    told = []
    found = find_rois(
        Plan(tmp_path / "sim.tif", out, picture),
        lambda stage, share, _word: told.append((stage, share)),
    )
    result = score(found.rois, truth)
    assert result.precision > 0.9
    assert result.recall > 0.7

    kept = load_rois(out, found.mean.shape)
    np.testing.assert_array_equal(kept.ids, np.arange(len(found.rois)))
    np.testing.assert_allclose(kept.centers(), found.rois.centers(), atol=1e-3)
    assert imread(picture).shape[0] > 500
    assert f"{len(found.rois)} neurons" in found.sentence()

    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["reading", "filtering", "comparing", "masks"]
    assert all(0 <= share <= 1 for _, share in told)


WRONG = {
    "no folder": ({"out": Path("nowhere") / "rois.json"}, "nowhere"),
    "no folder for the picture": ({"picture": Path("nowhere") / "a.png"}, "nowhere"),
    "diameter too small": ({"diameter_px": 1.0}, "1 px"),
    "diameter not a number": ({"diameter_px": float("nan")}, "nan px"),
    "um without a scale": ({"diameter_um": 12.0}, "in pixels"),
    "no such channel": ({"channel": 3}, "channel 3"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_carried_out_is_said_at_once(tmp_path: Path, case: str):
    changes, told = WRONG[case]
    pixels = scanimage_file.pages(30, (32, 32))
    recording = scanimage_file.write_scanimage(tmp_path / "si.tif", pixels)
    plan = {"recording": recording, "out": tmp_path / "rois.json", **changes}
    with pytest.raises(UserError, match=told):
        find_rois(Plan(**plan), quiet)


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
    still = np.repeat(scanimage_file.pages(1, (32, 32)), 30, axis=0)
    path = scanimage_file.write_scanimage(tmp_path / "a.tif", still, settings=settings)
    found = find_rois(Plan(path, tmp_path / "rois.json", **given), quiet)
    assert found.diameter_px == pytest.approx(expected_px)


@pytest.mark.parametrize("method", ["builtin", "auto"])
def test_the_method_used_is_told(tmp_path: Path, monkeypatch, method):
    monkeypatch.setattr("rtrecon.detection.command.find_spec", lambda _name: None)
    still = np.repeat(scanimage_file.pages(1, (32, 32)), 30, axis=0)
    path = scanimage_file.write_scanimage(tmp_path / "a.tif", still)
    found = find_rois(Plan(path, tmp_path / "rois.json", method=method), quiet)
    assert found.method == "builtin"
