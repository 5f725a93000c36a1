"""`find_rois` writes masks and a picture, for real and simulated neurons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from matplotlib.image import imread

from rtrecon.detection.detection_accuracy import score_detection
from rtrecon.detection.find_rois import DetectionRequest, find_rois
from rtrecon.rois.readers.regions import load_regions
from rtrecon.rois.readers.registry import load_rois
from rtrecon.rois.roi_set import build_roi_set
from rtrecon.simulate.microscope import image_field, make_imaged_field
from rtrecon.testing import scanimage_file
from tests.support.detection_world import ignore_progress

# The crop of neurofinder 00.00: its first row and column in the full field.
TOP, LEFT, SIDE = 150, 20, 256
FULL = (512, 512)


def read_marked_neurons(path: Path):
    """Return the hand-marked neurons whose centers lie in the crop."""
    pixels = []
    for rows, cols, weights in load_regions(path, FULL).list_pixels():
        rows, cols = rows - TOP, cols - LEFT
        if 0 <= min(rows.mean(), cols.mean()) <= max(rows.mean(), cols.mean()) < SIDE:
            is_inside = (np.minimum(rows, cols) >= 0) & (np.maximum(rows, cols) < SIDE)
            pixels.append((rows[is_inside], cols[is_inside], weights[is_inside]))
    return build_roi_set(np.arange(len(pixels)), (SIDE, SIDE), pixels)


def test_most_neurons_marked_by_hand_are_found(shared_data: Path, tmp_path: Path):
    """Precision 0.57, recall 0.68, F1 0.62, on the field the detector was made on."""
    movie = shared_data / "twophoton" / "crop256_600frames_u16.npz"
    regions = shared_data / "twophoton" / "neurofinder_regions.json"
    if not (movie.exists() and regions.exists()):
        pytest.skip(f"no hand-marked recording in {movie.parent}")
    with np.load(movie) as data:
        tifffile.imwrite(tmp_path / "crop.tif", data["movie"], photometric="minisblack")
    found = find_rois(
        DetectionRequest(tmp_path / "crop.tif", tmp_path / "rois.json"), ignore_progress
    )
    result = score_detection(
        found.rois, read_marked_neurons(regions), max_distance_px=5
    )
    assert result.precision > 0.5
    assert result.recall > 0.6


def write_simulated(path: Path, n_neurons=60, side_px=160, n_frames=240) -> object:
    """Write a recording as ScanImage would; returns the true masks."""
    field = make_imaged_field(n_neurons, side_px, seed=4)
    spikes = np.random.default_rng(0).poisson(0.03, (n_frames, n_neurons))
    recording = image_field(field, spikes.astype(np.float32), 30.0, seed=4)
    blank = np.empty((side_px, side_px), np.int16)
    frames = np.stack(
        [recording.render_frame(i, blank).copy() for i in range(n_frames)]
    )
    scanimage_file.write_scanimage(path, frames)
    return field.masks


def test_simulated_neurons_are_found_written_and_drawn(tmp_path: Path):
    truth = write_simulated(tmp_path / "sim.tif")
    out, picture = tmp_path / "rois.json", tmp_path / "rois.png"
    progress = []
    found = find_rois(
        DetectionRequest(tmp_path / "sim.tif", out, picture),
        lambda stage, share, _text: progress.append((stage, share)),
    )
    result = score_detection(found.rois, truth)
    assert result.precision > 0.9
    assert result.recall > 0.7

    loaded = load_rois(out, found.mean.shape)
    np.testing.assert_array_equal(loaded.ids, np.arange(len(found.rois)))
    np.testing.assert_allclose(
        loaded.compute_centers(), found.rois.compute_centers(), atol=1e-3
    )
    assert imread(picture).shape[0] > 500
    assert f"{len(found.rois)} neurons" in found.describe()

    stages = list(dict.fromkeys(stage for stage, _ in progress))
    assert stages == ["reading", "filtering", "comparing", "masks"]
    assert all(0 <= share <= 1 for _, share in progress)
