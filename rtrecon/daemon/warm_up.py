"""What takes long the first time is done before the first frame comes."""

from __future__ import annotations

import gc
import sys

import numpy as np

from rtrecon.config import Settings
from rtrecon.imaging.frame_processor import Chain
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.rois.roi_set import from_pixels

_USUAL_SHAPE = (512, 512)  # where no encoder says how large the field is
_SWITCH_S = 0.0005  # how long the recording thread may keep the loop from running


def warm_up(shape: tuple[int, int] | None, settings: Settings) -> None:
    """Compile kernels for fields of a shape, and settle memory."""
    shape = shape or _USUAL_SHAPE
    scene = np.random.default_rng(0).random(shape).astype(np.float32)
    nobody = from_pixels(np.zeros(0, np.int64), shape, [])
    masks = with_rings(nobody, settings.traces)
    Chain(scene, masks, settings.align.rate_hz, settings).warm_up()
    sys.setswitchinterval(_SWITCH_S)
    gc.freeze()  # what lives this long need not be looked through again
