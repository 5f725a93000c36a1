"""Activity of the last seconds, a row per neuron."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import QRectF

from rtrecon.display.panels import Panel
from rtrecon.display.playback import RATE_HZ
from rtrecon.display.plots import MARGIN_PX, plot
from rtrecon.display.raster import COLUMNS, Order, Raster

RASTER_S = COLUMNS / RATE_HZ
_COLORS = "inferno"


class RasterPanel(Panel):
    """The raster's picture and its time axis."""

    def __init__(self) -> None:
        super().__init__("Activity")
        self.setToolTip("A row per neuron, each scaled to its own recent range.")
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setColorMap(pg.colormap.get(_COLORS))
        self._plot = plot(RASTER_S, (0, 1))
        self._plot.addItem(self._image)
        self._plot.invertY(True)  # the first row is the upper one
        self._plot.hideAxis("left")
        self._plot.getPlotItem().setContentsMargins(MARGIN_PX, 8, MARGIN_PX, 0)
        self.body.addWidget(self._plot, 1)

    def draw(self, raster: Raster, order: Order) -> None:
        """Show the raster's picture, newest at 0 s."""
        neurons = f"{raster.n_neurons} neurons"
        if order == "as recorded" and raster.rows < raster.n_neurons:
            neurons = f"{raster.rows} of {neurons}"
        self.note.setText(neurons if order == "as recorded" else order)
        self._image.setImage(raster.picture(), autoLevels=False, levels=(0, 255))
        self._image.setRect(QRectF(-RASTER_S, 0, RASTER_S, 1))
