"""A picture of the field with every neuron that was found outlined on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet

_WIDTH_IN, _DPI = 10.0, 150
_TITLE_IN = 0.6
_OUTLINE = "#ffc400"
_DARK_PERCENT, _BRIGHT_PERCENT = 0.5, 99.5
_MOST_NUMBERED = 500  # more would hide what they name


def draw_rois(path: Path, mean: Array, rois: RoiSet, title: str) -> None:
    """Write a PNG of the mean image (lines, pixels): outlines, ids, a title."""
    lines, pixels = mean.shape
    height_in = _WIDTH_IN * lines / pixels + _TITLE_IN
    figure = Figure((_WIDTH_IN, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    dark, bright = np.percentile(mean, [_DARK_PERCENT, _BRIGHT_PERCENT])
    # The root, for dim cells are to be seen beside bright ones.
    shown = np.sqrt(np.clip(mean - dark, 0, max(bright - dark, 0)))
    axes.imshow(shown, cmap="gray", interpolation="nearest")
    for roi_id, (rows, cols, _) in zip(rois.ids, rois.pixels(), strict=True):
        if len(rows):
            _outline(axes, rows, cols)
            if len(rois) <= _MOST_NUMBERED:
                _number(axes, str(roi_id), rows, cols)
    axes.set_title(title)
    axes.set_xlabel("pixel")
    axes.set_ylabel("line")
    figure.savefig(path, dpi=_DPI, format="png")


def _outline(axes: Axes, rows: Array, cols: Array) -> None:
    top, left = rows.min() - 1, cols.min() - 1
    mask = np.zeros((np.ptp(rows) + 3, np.ptp(cols) + 3))
    mask[rows - top, cols - left] = 1
    below, right = np.arange(mask.shape[0]) + top, np.arange(mask.shape[1]) + left
    axes.contour(right, below, mask, [0.5], colors=_OUTLINE, linewidths=0.9)


def _number(axes: Axes, text: str, rows: Array, cols: Array) -> None:
    """Above the mask, small: what is inside must stay visible."""
    axes.text(
        float(cols.mean()),
        float(rows.min()) - 1.0,
        text,
        color=_OUTLINE,
        fontsize=5,
        ha="center",
        va="bottom",
        clip_on=True,
    )
