"""Does the slow parts of the first frame before the first frame arrives."""

from __future__ import annotations

import gc
import sys

import numpy as np

from rtrecon.config import LiveDishSettings, Settings
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.rois.roi_set import build_roi_set

_DISH_SIDE_PX = 128
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
    if settings.dish.enabled:
        _warm_up_dish()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()  # the garbage collector need not search what lives this long


def _warm_up_dish() -> None:
    """Trace two small pictures, so that the kernels of the dish are compiled."""
    from rtrecon.dish.tracker import DishTracker

    film = LiveDishSettings().describe_film(um_per_px=1.0, interval_s=600.0)
    tracker, rng = DishTracker(film), np.random.default_rng(0)
    rows = np.arange(_DISH_SIDE_PX)[:, None]
    picture = rng.poisson(50, (_DISH_SIDE_PX, _DISH_SIDE_PX)).astype(np.float32)
    for y, x in ((40, 40), (90, 90)):
        away = np.hypot(rows - y, np.arange(_DISH_SIDE_PX) - x)
        picture += 500 * (away < 6)
    diagonal = np.arange(40, 90)
    picture[diagonal, diagonal] += 200
    for _ in range(2):
        tracker.process_frame(picture)
