"""The page of the window for neurons in a dish: picture, counts over hours, events."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QListWidget

from rtrecon.core.frame_intervals import format_interval
from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.commands import KeyBinding
from rtrecon.display.dish_picture import DishPicture
from rtrecon.display.dish_settings_box import DishSettingsBox
from rtrecon.display.neuron_details import NeuronDetails
from rtrecon.display.panel_states.dish import DishPlaneState, DishState
from rtrecon.display.panels.panel import (
    Panel,
    add_line,
    make_column,
    make_label,
    make_row,
)

_CURVES = (
    ("Neurites, mm per mm²", "length_mm_per_mm2", theme.SKY),
    ("Touches", "contacts", theme.ORANGE),
    ("Cell bodies", "bodies", theme.PINK),
)
PreviewImages = tuple[Array, int, Array]  # see `client.read_preview`


class DishPage(Panel[DishState]):
    """Left: the newest picture. Right: counts over hours, and events."""

    title = "Neurons in a dish"
    state_type = DishState

    # Plane, size of a body in um, and sensitivity.
    preview_asked = Signal(int, float, float)
    # Plane, y and x (camera px), number of the neuron that gets the neurite.
    reassign_clicked = Signal(int, float, float, int)

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(
            "Each neuron has a number, and its neurites have its color. A thick ring "
            "is a touch of two\nneurons, a thin one a touch that was seen too rarely "
            "yet. Hatched: nothing is claimed there.\nPress D for the next stage "
            "position. Click a neuron for its figures; Shift + click on a neurite "
            "gives it to\nthe chosen neuron."
        )
        self.plane = 0
        self.number = 0  # of the chosen neuron; 0 = none
        self.picture = DishPicture()
        self.picture.clicked.connect(self._handle_click)
        self.details = NeuronDetails()
        self.settings = DishSettingsBox()
        self.settings.changed.connect(self._change_preview)
        self._preview: DishPlaneState | None = None
        self._preview_text = ""
        self.events = QListWidget()
        self.events.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.events.setStyleSheet(
            f"background: {theme.PANEL}; color: {theme.TEXT}; border: none"
        )
        self._state: DishState | None = None
        self._values = [make_label("") for _ in _CURVES]
        self._plots = [_make_hours_plot() for _ in _CURVES]
        self._lines = [
            add_line(plot, color, 2)
            for plot, (_, _, color) in zip(self._plots, _CURVES, strict=True)
        ]
        parts = [
            part
            for pair in zip(self._values, self._plots, strict=True)
            for part in pair
        ]
        title = make_label("Events", "title")
        column = make_column(*parts, self.details, title, self.events)
        column.setStretch(len(parts), 2)
        column.setStretch(len(parts) + 2, 2)
        left = make_column(self.picture, self.settings)
        left.setStretch(0, 1)
        halves = make_row(left, column)
        halves.setStretch(0, 3)
        halves.setStretch(1, 2)
        self.body.addLayout(halves, 1)

    def draw(self, state: DishState, now_s: float) -> None:
        """Show the chosen stage position."""
        self._state = state
        plane = state.planes.get(self.plane)
        if plane is None or plane.counts is None:
            return
        counts = plane.counts
        hours = plane.points[-1].hours
        position = f"position {self.plane + 1} of {len(state.planes)}, "
        self.note.show_text(
            self._preview_text
            or (position if len(state.planes) > 1 else "")
            + f"picture {counts.picture + 1}, {format_interval(3600 * hours)}"
            + "".join(f"; {notice}" for notice in counts.notices)
        )
        self.picture.selected = self.number
        self.picture.show_plane(self._preview or plane)
        partners = plane.list_partners(self.number)
        self.details.show_neuron(self.number, plane.history, partners)
        table = np.array(plane.points, np.float64)
        for index, (name, field, _) in enumerate(_CURVES):
            self._values[index].setText(f"{name}: {getattr(counts, field):.4g}")
            values = table[:, 1 + index]
            self._lines[index].setData(table[:, 0], values, connect="finite")
            highest = float(np.nanmax(values, initial=0.0))
            self._plots[index].setYRange(0, max(1.0, 1.1 * highest), padding=0)
        self._show_events(state)

    def show_preview(self, sentence: str, preview: PreviewImages | None) -> None:
        """Show what other settings find; None = only the sentence on why not."""
        plane = self._state.planes.get(self.plane) if self._state else None
        if not self.settings.is_previewed or plane is None:
            return
        self._preview_text, self._preview = f"Preview: {sentence}", None
        if preview is not None:
            self._preview = plane.replace_owners(*preview)
        self.needs_redraw = True

    def ask_for_preview(self) -> None:
        """Ask for the preview of the settings that are chosen, if it is on."""
        if self.settings.is_previewed:
            self.preview_asked.emit(self.plane, *self.settings.values)

    def key_bindings(self) -> list[KeyBinding]:
        """Return the key that chooses the stage position."""
        text = "next stage position of a dish"
        return [KeyBinding(Qt.Key.Key_D, self._choose_next_plane, "D", text)]

    def _show_events(self, state: DishState) -> None:
        shown = [self.events.item(row).text() for row in range(self.events.count())]
        if shown != list(state.events):
            self.events.clear()
            self.events.addItems(list(state.events))

    def _change_preview(self) -> None:
        self._preview, self._preview_text = None, ""
        self.needs_redraw = True
        self.ask_for_preview()

    def _handle_click(self, y: float, x: float, has_shift: bool) -> None:
        """Choose the neuron at a position, or ask to give it the neurite there."""
        plane = self._state.planes.get(self.plane) if self._state else None
        if plane is None or self._preview is not None:
            return
        if has_shift and self.number:
            self.reassign_clicked.emit(self.plane, y, x, self.number)
            return
        self.number = plane.find_neuron(y, x)
        self.needs_redraw = True

    def _choose_next_plane(self) -> None:
        planes = sorted(self._state.planes) if self._state else []
        later = [plane for plane in planes if plane > self.plane]
        self.plane = (later or planes or [0])[0]
        self.number = 0
        self._change_preview()
        self.needs_redraw = True


def _make_hours_plot() -> pg.PlotWidget:
    """Return a plot of values over hours; it ignores the mouse."""
    plot = pg.PlotWidget(background=theme.PANEL)
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.setMinimumSize(80, 60)
    plot.enableAutoRange(axis="x")
    plot.getAxis("bottom").setLabel("h")
    for side in ("left", "bottom"):
        plot.getAxis(side).setPen(theme.RULE)
        plot.getAxis(side).setTextPen(theme.MUTED)
    return plot
