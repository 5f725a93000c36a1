"""Draws the outlines of the found neurons on the mean image of the field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rtrecon.core.figures import save_png
from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet

_WIDTH_IN, _DPI = 10.0, 150
_TITLE_IN = 0.6
_OUTLINE_COLOR = "#ffc400"
_DARK_PERCENT, _BRIGHT_PERCENT = 0.5, 99.5
_MAX_NUMBERED = 500  # more ids would hide the neurons


def draw_rois(path: Path, mean: Array, rois: RoiSet, title: str) -> None:
    """Write a PNG of the mean image (lines, pixels) with outlines, ids and a title."""
    lines, pixels = mean.shape
    height_in = _WIDTH_IN * lines / pixels + _TITLE_IN
    figure = Figure((_WIDTH_IN, height_in), layout="constrained")
    axes = figure.add_subplot()
    dark, bright = np.percentile(mean, [_DARK_PERCENT, _BRIGHT_PERCENT])
    # The square root makes dim cells visible beside bright ones.
    brightness = np.sqrt(np.clip(mean - dark, 0, max(bright - dark, 0)))
    axes.imshow(brightness, cmap="gray", interpolation="nearest")
    for roi_id, (rows, cols, _) in zip(rois.ids, rois.list_pixels(), strict=True):
        if len(rows):
            _draw_outline(axes, rows, cols)
            if len(rois) <= _MAX_NUMBERED:
                _draw_number(axes, str(roi_id), rows, cols)
    axes.set_title(title)
    axes.set_xlabel("pixel")
    axes.set_ylabel("line")
    save_png(figure, path, _DPI)


def _draw_outline(axes: Axes, rows: Array, cols: Array) -> None:
    top, left = rows.min() - 1, cols.min() - 1
    mask = np.zeros((np.ptp(rows) + 3, np.ptp(cols) + 3))
    mask[rows - top, cols - left] = 1
    below, right = np.arange(mask.shape[0]) + top, np.arange(mask.shape[1]) + left
    axes.contour(right, below, mask, [0.5], colors=_OUTLINE_COLOR, linewidths=0.9)


def _draw_number(axes: Axes, text: str, rows: Array, cols: Array) -> None:
    """Draw a small number above the mask, so that the cell stays visible."""
    axes.text(
        float(cols.mean()),
        float(rows.min()) - 1.0,
        text,
        color=_OUTLINE_COLOR,
        fontsize=5,
        ha="center",
        va="bottom",
        clip_on=True,
    )
