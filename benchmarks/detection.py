"""The neuron detector against neurons that people marked by hand.

Neurofinder 00.00: 330 neurons in 512 x 512 px, of which a crop of 256 x 256 px and 600
frames is at hand, and 100 frames of the whole. The detector's few constants were chosen
on this very crop: elsewhere it may do worse (or, brighter, better).
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile

from rtrecon.detection.command import Plan, find_rois
from rtrecon.detection.score import score
from rtrecon.rois.readers.regions import load_regions
from rtrecon.rois.roi_set import RoiSet, from_pixels

MOVIE, REGIONS = "crop256_600frames_u16.npz", "neurofinder_regions.json"
TOP, LEFT, SIDE_PX = 150, 20, 256  # of the crop in the field
FIELD = (512, 512)
_NEAR_PX = 5.0  # between middles, as neurofinder scores


def on_neurofinder(folder: Path) -> dict[str, float] | None:
    """Return precision, recall and f1 on the crop; None where the files are not."""
    movie, regions = folder / MOVIE, folder / REGIONS
    if not (movie.exists() and regions.exists()):
        return None
    truth = _marked(regions)
    with TemporaryDirectory() as scratch, np.load(movie) as data:
        recording = Path(scratch) / "crop.tif"
        tifffile.imwrite(recording, data["movie"], photometric="minisblack")
        plan = Plan(recording, Path(scratch) / "rois.json")
        found = find_rois(plan, lambda *_: None).rois
    result = score(found, truth, _NEAR_PX)
    figures = {"precision": result.precision, "recall": result.recall, "f1": result.f1}
    return {**figures, "found": len(found), "marked": len(truth)}


def _marked(path: Path) -> RoiSet:
    """Neurons whose middles lie in the crop, in its coordinates."""
    kept = []
    for rows, cols, weights in load_regions(path, FIELD).pixels():
        rows, cols = rows - TOP, cols - LEFT
        if (
            0
            <= min(rows.mean(), cols.mean())
            <= max(rows.mean(), cols.mean())
            < SIDE_PX
        ):
            own = np.minimum(rows, cols) >= 0
            own &= np.maximum(rows, cols) < SIDE_PX
            kept.append((rows[own], cols[own], weights[own]))
    return from_pixels(np.arange(len(kept)), (SIDE_PX, SIDE_PX), kept)
