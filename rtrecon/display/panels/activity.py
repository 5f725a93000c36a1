"""Activity panel: the last ten seconds as a raster, one row per neuron."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt

from rtrecon.display.commands import KeyBinding
from rtrecon.display.panel_states.activity import (
    N_COLUMNS,
    ROW_ORDERS,
    ActivityState,
    Raster,
)
from rtrecon.display.panels.panel import (
    PLOT_MARGIN_PX,
    Panel,
    make_time_plot,
    set_time_span,
)
from rtrecon.display.playback import ENCODER_RATE_HZ

DURATION_S = N_COLUMNS / ENCODER_RATE_HZ
_COLOR_MAP = "inferno"


class ActivityPanel(Panel[ActivityState]):
    """The raster as an image above a time axis."""

    title = "Activity"
    width_share = 290
    state_type = ActivityState

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(
            "One row per neuron; bright = active. Each row is scaled to its own range "
            "over the last 10 s, or 300 frames of a time-lapse. Press O to sort the "
            "rows."
        )
        self._raster: Raster | None = None
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setColorMap(pg.colormap.get(_COLOR_MAP))
        plot = make_time_plot(DURATION_S, (0, 1))
        self._plot, self._duration_s = plot, DURATION_S
        plot.addItem(self._image)
        plot.invertY(True)  # the first row is at the top
        plot.hideAxis("left")
        plot.getPlotItem().setContentsMargins(PLOT_MARGIN_PX, 8, PLOT_MARGIN_PX, 0)
        self.body.addWidget(plot, 1)

    def draw(self, state: ActivityState, now_s: float) -> None:
        """Show the raster, the newest frame at 0 s."""
        self._raster = raster = state.raster
        if raster is None:
            return
        neurons = f"{raster.n_neurons} neurons"
        if raster.n_rows < raster.n_neurons:
            neurons = f"{raster.n_rows} of {neurons}"
        is_sorted = raster.order != "as recorded"
        self.note.show_text(raster.order if is_sorted else neurons)
        self._image.setImage(raster.to_image(), autoLevels=False, levels=(0, 255))
        duration_s = state.column_s * N_COLUMNS
        if duration_s != self._duration_s:
            self._duration_s = duration_s
            set_time_span(self._plot, duration_s)
        self._image.setRect(QRectF(-duration_s, 0, duration_s, 1))

    def key_bindings(self) -> list[KeyBinding]:
        """Return the key that sorts the rows."""
        text = "sort the activity rows: as recorded, most active, similar"
        return [KeyBinding(Qt.Key.Key_O, self._choose_next_order, "O", text)]

    def _choose_next_order(self) -> None:
        if self._raster is not None:
            next_index = ROW_ORDERS.index(self._raster.order) + 1
            self._raster.sort_rows(ROW_ORDERS[next_index % len(ROW_ORDERS)])
            self.needs_redraw = True
