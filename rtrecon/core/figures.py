"""Writes matplotlib figures. It draws them once; `Figure.savefig` draws them twice.

Imports matplotlib: import this module where a picture is drawn, not where a process
starts.
"""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure


def save_png(figure: Figure, path: Path, dpi: float) -> None:
    """Write a figure as a PNG file; dpi: pixels per inch."""
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).print_png(path)


def render_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG file, without the date."""
    file = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return file.getvalue()
