"""Cell bodies of a traced dish as masks, for `rtrecon run` on a calcium film."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtrecon.dish.dish_frame import DishFrame
from rtrecon.rois.readers.regions import save_regions
from rtrecon.rois.roi_set import RoiSet, build_roi_set


def write_body_masks(path: Path, frame: DishFrame) -> Path:
    """Write the bodies of a whole frame as a masks file (.json); return its path."""
    save_regions(path, make_body_masks(frame))
    return path


def make_body_masks(frame: DishFrame) -> RoiSet:
    """Return one mask per body; its id is the number of the neuron."""
    numbers, pixels = [], []
    for number in frame.bodies["number"].tolist():
        rows, cols = np.nonzero((frame.owners == number) & frame.is_body)
        if len(rows):
            numbers.append(number)
            pixels.append((rows, cols, np.ones(len(rows), np.float32)))
    shape = (frame.owners.shape[0], frame.owners.shape[1])
    return build_roi_set(np.array(numbers, np.int64), shape, pixels)
