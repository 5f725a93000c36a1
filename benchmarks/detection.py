"""Measures the neuron detector on neurons that people marked by hand.

Neurofinder 00.00: 330 neurons in 512 x 512 px; the test data hold a crop of 256 x 256
px with 600 frames. The constants of the detector were chosen on this field: on other
recordings the accuracy may be lower, or higher if they are brighter.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile

from rtrecon.detection.detection_accuracy import score_detection
from rtrecon.detection.find_rois import DetectionRequest, find_rois
from rtrecon.rois.readers.regions import load_regions
from rtrecon.rois.roi_set import RoiSet, build_roi_set

MOVIE, REGIONS = "crop256_600frames_u16.npz", "neurofinder_regions.json"
TOP, LEFT, SIDE_PX = 150, 20, 256  # of the crop in the field
FIELD = (512, 512)
_MAX_DISTANCE_PX = 5.0  # between centers, as neurofinder scores


def measure_on_neurofinder(folder: Path) -> dict[str, float] | None:
    """Return precision, recall and f1 on the crop; None if the files are missing."""
    movie, regions = folder / MOVIE, folder / REGIONS
    if not (movie.exists() and regions.exists()):
        return None
    truth = _read_marked_neurons(regions)
    with TemporaryDirectory() as scratch, np.load(movie) as data:
        recording = Path(scratch) / "crop.tif"
        tifffile.imwrite(recording, data["movie"], photometric="minisblack")
        request = DetectionRequest(recording, Path(scratch) / "rois.json")
        found = find_rois(request, lambda *_: None).rois
    result = score_detection(found, truth, _MAX_DISTANCE_PX)
    figures = {"precision": result.precision, "recall": result.recall, "f1": result.f1}
    return {**figures, "found": len(found), "marked": len(truth)}


def _read_marked_neurons(path: Path) -> RoiSet:
    """Return the neurons whose centers lie in the crop, in coordinates of the crop."""
    inside = []
    for rows, cols, weights in load_regions(path, FIELD).list_pixels():
        rows, cols = rows - TOP, cols - LEFT
        if (
            0
            <= min(rows.mean(), cols.mean())
            <= max(rows.mean(), cols.mean())
            < SIDE_PX
        ):
            is_inside = np.minimum(rows, cols) >= 0
            is_inside &= np.maximum(rows, cols) < SIDE_PX
            inside.append((rows[is_inside], cols[is_inside], weights[is_inside]))
    return build_roi_set(np.arange(len(inside)), (SIDE_PX, SIDE_PX), inside)
