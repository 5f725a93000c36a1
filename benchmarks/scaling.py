"""Cost of the daemon by frame size, number of ROIs and planes, as a plot."""

from __future__ import annotations

from pathlib import Path

import call_timing
import numpy as np
import simulated_fields
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.traces.neuropil import make_cell_masks

SIDES_PX = (128, 256, 512, 1024, 2048)
ROI_COUNTS = (10, 100, 1000, 5000, 20_000)
PLANES = (1, 2, 4, 8)
N_FRAMES = 60
_RATE_HZ = 30.0
_BLUE = "#0072B2"  # distinct in every colour vision


def measure_scaling() -> dict[str, dict[str, float]]:
    """Return median ms of all processing per frame (per volume, for planes)."""
    by_side = {
        str(side): _median_processing_ms(side, 1000, N_FRAMES) for side in SIDES_PX[1:]
    }
    by_rois = {
        str(n): _median_processing_ms(simulated_fields.SIDE_PX, n, N_FRAMES)
        for n in ROI_COUNTS
    }
    per_plane = {
        str(p): p * _median_processing_ms(simulated_fields.SIDE_PX, 1000 // p, 30)
        for p in PLANES
    }
    return {"side_px": by_side, "rois": by_rois, "planes": per_plane}


def measure_voltage_imaging() -> dict[str, float]:
    """Return p50 and p99 in ms at 128 x 128 px, 50 neurons, as in voltage imaging."""
    timing = _time_processing(128, 50, 400)
    return {"p50_ms": timing.p50, "p99_ms": timing.p99, "hz": 1e3 / timing.p99}


def draw_scaling(costs_ms: dict[str, dict[str, float]], path: Path) -> None:
    """Write the plot."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    titles = {
        "side_px": "frame side, px (1000 ROIs)",
        "rois": "ROIs (512 x 512)",
        "planes": "planes of a volume (1000 ROIs in all)",
    }
    for axes, (key, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
        x, y = [int(k) for k in costs_ms[key]], list(costs_ms[key].values())
        axes.loglog(x, y, "o-", color=_BLUE)
        axes.set_xticks(x, [str(k) for k in x], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_xlabel(title)
        axes.axhline(1e3 / _RATE_HZ, color="0.6", linestyle="--")
        axes.text(x[0], 1e3 / _RATE_HZ, "30 Hz", va="bottom", color="0.4")
        axes.set_ylim(0.3, 60)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("ms, registration to activity")
    figure.suptitle("Cost of the daemon on one core: median per frame or volume")
    figure.savefig(path, dpi=130)


def _median_processing_ms(side_px: int, n_rois: int, n_frames: int) -> float:
    return _time_processing(side_px, n_rois, n_frames).p50


def _time_processing(side_px: int, n_rois: int, n_frames: int) -> call_timing.CallTimes:
    template, frames = _create_field(side_px)
    settings = Settings()
    masks = make_cell_masks(
        simulated_fields.scatter_rois(n_rois, side_px), settings.traces
    )
    processor = FrameProcessor(template, masks, _RATE_HZ, settings)
    repeated = [frames[k % len(frames)] for k in range(n_frames)]
    return call_timing.time_calls(processor.process_frame, repeated)


def _create_field(side_px: int) -> tuple[Array, list[Array]]:
    """Return a field of this side, tiled or cut from the standard one, and frames."""
    field = simulated_fields.simulate_rigid_motion(simulated_fields.PHOTONS["hi"], 8)
    n_tiles = -(-side_px // simulated_fields.SIDE_PX)

    def cut(image: Array) -> Array:
        tiled = np.tile(image, (n_tiles, n_tiles))[:side_px, :side_px]
        return np.ascontiguousarray(tiled)

    return cut(field.template), [cut(frame) for frame in field.frames]
