"""Does the slow parts of the first frame before the first frame arrives."""

from __future__ import annotations

import gc
import sys

import numpy as np

from rtrecon.config import Settings
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.rois.roi_set import build_roi_set

_DEFAULT_SHAPE = (512, 512)  # of a field that no encoder specifies
# The recording thread may keep the main loop from running for this time.
_SWITCH_INTERVAL_S = 0.0005


def warm_up(shape: tuple[int, int] | None, settings: Settings) -> None:
    """Compile the kernels for a field of (lines, pixels), and freeze long-lived memory.

    shape: None = the most common size.
    """
    shape = shape or _DEFAULT_SHAPE
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    no_neurons = build_roi_set(np.zeros(0, np.int64), shape, [])
    masks = make_cell_masks(no_neurons, settings.traces)
    FrameProcessor(image, masks, settings.timing.encoder_rate_hz, settings).warm_up()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()  # the garbage collector need not search what lives this long
