"""Yesterday's field and today's in one picture, for a look before the session.

Imports matplotlib: a daemon imports this file when it draws, not when it starts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from scipy.ndimage import binary_erosion

from rtrecon.core.types import Array
from rtrecon.imaging.field_match.affine_search import turned, warp
from rtrecon.imaging.field_match.comparison import FieldReport

# All colours are told apart with any colour vision. Orange and azure add up to white.
_STORED, _TODAY = np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.5, 1.0])
_GO, _NO_GO = "#0072B2", "#C04A00"  # blue, vermilion
_VISIBILITY = LinearSegmentedColormap.from_list(
    "visibility", ["#FF5500", "#F0E442", "#56D4FF"]
)
_OUTSIDE = (0.85, 0.85, 0.85, 1.0)
_NOTHING = 0.25  # grey of what today's image does not show
_CONTRAST_PERCENT = (1, 99)


def draw_report(report: FieldReport, path: Path) -> None:
    """Write a PNG: the stored image, today's moved onto it, both at once, neurons.

    Where no match was found, today's image is shown as it is.
    """
    stored, today = _grey(report.stored), _grey(_moved_back(report))
    figure = Figure(figsize=(11, 11.9), dpi=110, layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    _show(axes[0], "stored with the encoder", stored)
    how = "moved onto the stored image" if report.match.found else "not moved: no match"
    _show(axes[1], f"today, {how}", np.nan_to_num(today, nan=_NOTHING))
    seen = np.nan_to_num(today, nan=0.0)
    both = stored[..., None] * _STORED + seen[..., None] * _TODAY
    _show(axes[2], "stored orange, today blue; white where both agree", both)
    dimmed = 0.6 * np.nan_to_num(today, nan=_NOTHING)
    _show(axes[3], "neurons on today's image", dimmed)
    axes[3].imshow(_outlines(report), interpolation="nearest")
    scale = figure.colorbar(
        ScalarMappable(cmap=_VISIBILITY), ax=axes[2:], location="bottom", shrink=0.4
    )
    scale.set_label("visibility of each neuron; grey: outside today's field")
    word, _, rest = report.sentence.partition(": ")
    color = _GO if report.go else _NO_GO
    figure.suptitle(
        f"{word.upper()}\n{rest}", color=color, fontsize=13, weight="bold", wrap=True
    )
    figure.savefig(path, format="png")


def _moved_back(report: FieldReport) -> Array:
    """Today's image as the stored one shows it; NaN where it does not reach."""
    stored, today, match = report.stored, report.today, report.match
    still = turned(0, 1, stored.shape, today.shape)
    return warp(today, match.matrix if match.found else still, stored.shape)


def _grey(image: Array) -> Array:
    """0..1, by the image's own darkest and brightest, dim parts lifted; NaN stays."""
    low, high = np.nanpercentile(image, _CONTRAST_PERCENT)
    return np.sqrt(np.clip((image - low) / (high - low + 1e-12), 0, 1))


def _show(axes: Axes, title: str, image: Array) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=12)
    axes.set_axis_off()


def _outlines(report: FieldReport) -> Array:
    """Return an RGBA image of the stored masks' rims, clear elsewhere."""
    rois = report.rois
    colors = _VISIBILITY(report.visibility)
    colors[report.outside] = _OUTSIDE
    image = np.zeros((*rois.shape, 4))
    for (rows, cols, _), color in zip(rois.pixels(), colors, strict=True):
        if len(rows):
            rim = _rim(rows, cols)
            image[rows[rim], cols[rim]] = color
    return image


def _rim(rows: Array, cols: Array) -> Array:
    """Which of a mask's pixels have a neighbour that is not in it."""
    rows, cols = rows - rows.min(), cols - cols.min()
    mask = np.zeros((rows.max() + 1, cols.max() + 1), bool)
    mask[rows, cols] = True
    return ~binary_erosion(mask)[rows, cols]
