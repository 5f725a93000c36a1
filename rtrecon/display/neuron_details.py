"""A box that shows one neuron of a dish: figures, and how far its neurites reach."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtWidgets import QWidget

from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.panel_states.neuron_history import (
    MAX_PICTURES,
    NeuronHistory,
    NeuronPoint,
)
from rtrecon.display.panels.panel import make_column, make_label

_HELP = "Click a neuron for its figures."


class NeuronDetails(QWidget):
    """Length, tips and partners of one neuron, and its kymograph.

    The kymograph has the pictures from left to right and the distance from the body
    upwards; it is bright where the neuron has many pixels at this distance.
    """

    def __init__(self) -> None:
        super().__init__()
        self.text = make_label(_HELP)
        self.text.setWordWrap(True)
        self.kymograph = pg.PlotWidget(background=theme.PANEL)
        self.kymograph.setMenuEnabled(False)
        self.kymograph.setMouseEnabled(False, False)
        self.kymograph.hideButtons()
        self.kymograph.setMinimumSize(80, 90)
        self.kymograph.setMaximumHeight(240)
        self.kymograph.getAxis("bottom").setLabel("h")
        self.kymograph.getAxis("left").setLabel("distance, px")
        self.image = pg.ImageItem(axisOrder="row-major")
        self.image.setColorMap(pg.colormap.get("viridis"))
        self.kymograph.addItem(self.image)
        column = make_column(self.text, self.kymograph)
        column.setContentsMargins(0, 0, 0, 0)
        self.setLayout(column)
        self.kymograph.hide()

    def show_neuron(
        self, number: int, history: NeuronHistory, partners: list[int]
    ) -> None:
        """Show a neuron; 0 = none. partners: numbers of those that it touches now."""
        points = history.list_points(number) if number else []
        self.kymograph.setVisible(len(points) > 1)
        self.text.setText(_describe(number, points, partners) if points else _HELP)
        if len(points) < 2:
            return
        rows = _draw_kymograph(points)
        self.image.setImage(rows, levels=(0, max(1, int(rows.max()))))
        first_h, last_h = points[0].hours, points[-1].hours
        width_h = max(last_h - first_h, 1e-6)
        self.image.setRect(first_h, 0.0, width_h, history.range_px)
        filled = np.flatnonzero(rows.any(1))
        top_px = history.range_px * (filled[-1] + 2 if len(filled) else 2) / len(rows)
        self.kymograph.setXRange(first_h, last_h, padding=0)
        self.kymograph.setYRange(0, min(top_px, history.range_px), padding=0)


def _draw_kymograph(points: list[NeuronPoint]) -> Array:
    """Return uint8 (distances, times) at equal times; 0 where no picture was traced."""
    hours = np.array([point.hours for point in points])
    step_h = max(float(np.median(np.diff(hours))), 1e-6)
    columns = np.rint((hours - hours[0]) / step_h).astype(int)
    # After a long pause the columns cover more time each.
    columns = columns * min(MAX_PICTURES - 1, columns[-1]) // max(1, columns[-1])
    rows = np.zeros((len(points[0].profile), columns[-1] + 1), np.uint8)
    rows[:, columns] = np.stack([point.profile for point in points], 1)
    return rows


def _describe(number: int, points: list[NeuronPoint], partners: list[int]) -> str:
    newest, first = points[-1], points[0]
    if np.isnan(newest.length_um):
        return f"Neuron {number} is not in the newest picture."
    span_h = newest.hours - first.hours
    growth = ""
    if span_h > 0 and not np.isnan(first.length_um):
        rate = (newest.length_um - first.length_um) / span_h
        growth = f" ({rate:+.3g} um per hour)"
    touched = ", ".join(map(str, partners)) or "none"
    return (
        f"Neuron {number}: {newest.length_um:.4g} um{growth}, {newest.tips} tips, "
        f"touches {touched}. Shift + click gives it a neurite."
    )
