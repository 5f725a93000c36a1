"""Draw the stored field and today's field in one picture, before the session.

Imports matplotlib: a daemon imports this module when it draws, not when it starts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from scipy.ndimage import binary_erosion

from rtrecon.core.figures import save_png
from rtrecon.core.types import Array
from rtrecon.imaging.field_match.affine_search import make_rotation_map, warp_image
from rtrecon.imaging.field_match.comparison import FieldReport

# Distinguishable with any colour vision. Orange and azure add up to white.
_STORED, _TODAY = np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.5, 1.0])
_GO, _NO_GO = "#0072B2", "#C04A00"  # blue, vermilion
_VISIBILITY = LinearSegmentedColormap.from_list(
    "visibility", ["#FF5500", "#F0E442", "#56D4FF"]
)
_OUTSIDE = (0.85, 0.85, 0.85, 1.0)
_MISSING_GREY = 0.25  # of pixels outside today's image
_CONTRAST_PERCENT = (1, 99)


def draw_report(report: FieldReport, path: Path) -> None:
    """Write a PNG: the stored image, today's moved onto it, both at once, neurons.

    Where no match was found, today's image is shown as it is.
    """
    stored, today = _scale_grey(report.stored_image), _scale_grey(_move_back(report))
    figure = Figure(figsize=(11, 11.9), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    _show_image(axes[0], "stored with the encoder", stored)
    is_found = report.match.is_found
    how = "moved onto the stored image" if is_found else "not moved: no match"
    _show_image(axes[1], f"today, {how}", np.nan_to_num(today, nan=_MISSING_GREY))
    visible = np.nan_to_num(today, nan=0.0)
    both = stored[..., None] * _STORED + visible[..., None] * _TODAY
    _show_image(axes[2], "stored orange, today blue; white where both agree", both)
    dimmed = 0.6 * np.nan_to_num(today, nan=_MISSING_GREY)
    _show_image(axes[3], "neurons on today's image", dimmed)
    axes[3].imshow(_draw_outlines(report), interpolation="nearest")
    _add_visibility_scale(figure, axes[2:])
    _add_title(figure, report)
    save_png(figure, path, dpi=110)


def _add_visibility_scale(figure: Figure, axes: Array) -> None:
    scale = figure.colorbar(
        ScalarMappable(cmap=_VISIBILITY), ax=axes, location="bottom", shrink=0.4
    )
    scale.set_label("visibility of each neuron; grey: outside today's field")


def _add_title(figure: Figure, report: FieldReport) -> None:
    word, _, rest = report.summary.partition(": ")
    color = _GO if report.is_go else _NO_GO
    figure.suptitle(
        f"{word.upper()}\n{rest}", color=color, fontsize=13, weight="bold", wrap=True
    )


def _move_back(report: FieldReport) -> Array:
    """Return today's image, moved onto the stored one; NaN outside."""
    stored, today, match = report.stored_image, report.current_image, report.match
    still = make_rotation_map(0, 1, stored.shape, today.shape)
    return warp_image(today, match.matrix if match.is_found else still, stored.shape)


def _scale_grey(image: Array) -> Array:
    """Return the image scaled to 0..1, dim parts brightened; NaN stays NaN."""
    low, high = np.nanpercentile(image, _CONTRAST_PERCENT)
    return np.sqrt(np.clip((image - low) / (high - low + 1e-12), 0, 1))


def _show_image(axes: Axes, title: str, image: Array) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=12)
    axes.set_axis_off()


def _draw_outlines(report: FieldReport) -> Array:
    """Return an RGBA image of the stored masks' rims, transparent elsewhere."""
    rois = report.stored_rois
    colors = _VISIBILITY(report.visibility)
    colors[report.is_outside] = _OUTSIDE
    image = np.zeros((*rois.shape, 4))
    for (rows, cols, _), color in zip(rois.list_pixels(), colors, strict=True):
        if len(rows):
            rim = _find_rim(rows, cols)
            image[rows[rim], cols[rim]] = color
    return image


def _find_rim(rows: Array, cols: Array) -> Array:
    """Return which pixels of a mask have a neighbour outside it."""
    rows, cols = rows - rows.min(), cols - cols.min()
    mask = np.zeros((rows.max() + 1, cols.max() + 1), bool)
    mask[rows, cols] = True
    return ~binary_erosion(mask)[rows, cols]
