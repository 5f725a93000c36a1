"""Field panel: the registered image with its neurons, brain motion and depth."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt

from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.commands import KeyBinding
from rtrecon.display.panel_states.field import FieldState
from rtrecon.display.panels.panel import (
    Panel,
    add_line,
    format_legend,
    ignore_text_width,
    make_column,
    make_label,
    make_row,
    make_time_plot,
    set_time_span,
)
from rtrecon.display.picture import Picture

MOTION_S, MOTION_INTERVALS = 30.0, 60.0  # shown: the longer of both
_MIN_MOTION_PX = 5.5  # half the y range: a still brain shows no magnified noise
_MIN_DEPTH = 3.0  # half the y range, um or planes


class FieldPanel(Panel[FieldState]):
    """One plane: its image beside its motion, and its depth where that is measured."""

    title = "Field and motion"
    width_share = 455
    state_type = FieldState

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(
            "Left: the registered image with the outlines of the neurons. Right: how "
            "far the brain has moved\nfrom the reference image, and how much deeper "
            "it lies (with a z-stack). Press P for the next plane."
        )
        self.plane = 0
        self._state: FieldState | None = None
        self._masks: Array | None = None
        self.picture = Picture()
        self._y, self._x, self._z = (
            ignore_text_width(make_label("")) for _ in range(3)
        )
        limits = (-_MIN_MOTION_PX, _MIN_MOTION_PX)
        self._duration_s = MOTION_S
        self._motion_plot = make_time_plot(MOTION_S, limits)
        self._y_line = add_line(self._motion_plot, theme.SKY, 2)
        self._x_line = add_line(self._motion_plot, theme.ORANGE, 2)
        self._depth_plot = make_time_plot(MOTION_S, (-_MIN_DEPTH, _MIN_DEPTH))
        self._z_line = add_line(self._depth_plot, theme.PINK, 2)
        plots = make_column(
            make_row(self._y, self._x), self._motion_plot, self._z, self._depth_plot
        )
        plots.setStretch(1, 3)
        plots.setStretch(3, 2)
        halves = make_row(self.picture, plots)
        halves.setStretch(0, 1)
        halves.setStretch(1, 1)
        self.body.addLayout(halves, 1)
        self._show_depth(False)

    def draw(self, state: FieldState, now_s: float) -> None:
        """Show the chosen plane; its newest shift is at 0 s."""
        self._state = state
        plane = state.planes.get(self.plane)
        if plane is None or plane.field is None:
            return
        field = plane.field
        self.picture.draw(plane.image)
        n_planes = len(state.planes)
        which = f"plane {field.plane + 1} of {n_planes}, " if n_planes > 1 else ""
        self.note.show_text(
            which + (field.rejection_reason or f"match {field.confidence:.2f}")
        )
        y_px, x_px = field.shift_px
        self._y.setText(format_legend(theme.SKY, "━", "y", y_px, "{:+.1f} px"))
        self._x.setText(format_legend(theme.ORANGE, "━", "x", x_px, "{:+.1f} px"))
        table = np.array(plane.motion, np.float64).reshape(-1, 4)
        t_s = table[:, 0] - table[-1, 0]
        self._show_time_span(MOTION_INTERVALS * state.frame_interval_s)
        self._y_line.setData(t_s, table[:, 1], connect="finite")
        self._x_line.setData(t_s, table[:, 2], connect="finite")
        limit_px = _symmetric_limit(table[:, 1:3], _MIN_MOTION_PX)
        self._motion_plot.setYRange(-limit_px, limit_px, padding=0)
        self._draw_depth(t_s, table[:, 3])

    def set_masks(self, masks: Array | None) -> None:
        """Draw a line around each neuron from now on."""
        self._masks = masks
        self._update_outlines()

    def key_bindings(self) -> list[KeyBinding]:
        """Return the key that chooses the plane."""
        text = "next imaging plane"
        return [KeyBinding(Qt.Key.Key_P, self._choose_next_plane, "P", text)]

    def _choose_next_plane(self) -> None:
        planes = sorted(self._state.planes) if self._state else []
        later = [plane for plane in planes if plane > self.plane]
        self.plane = (later or planes or [0])[0]
        self.needs_redraw = True
        self._update_outlines()

    def _update_outlines(self) -> None:
        masks = self._masks
        if masks is None or self.plane >= len(masks):
            self.picture.set_outlines(None)
        else:
            self.picture.set_outlines(masks[self.plane])

    def _show_time_span(self, duration_s: float) -> None:
        """Show so many seconds of motion, at least `MOTION_S`."""
        duration_s = max(MOTION_S, duration_s)
        if duration_s != self._duration_s:
            self._duration_s = duration_s
            for plot in (self._motion_plot, self._depth_plot):
                set_time_span(plot, duration_s)

    def _draw_depth(self, t_s: Array, z: Array) -> None:
        is_measured = bool(np.isfinite(z).any())
        self._show_depth(is_measured)
        if is_measured:
            newest = float(z[-1])
            self._z.setText(
                format_legend(theme.PINK, "━", "z", newest, "{:+.1f} deeper")
            )
            self._z_line.setData(t_s, z, connect="finite")
            limit = _symmetric_limit(z, _MIN_DEPTH)
            self._depth_plot.setYRange(-limit, limit, padding=0)

    def _show_depth(self, is_shown: bool) -> None:
        for part in (self._z, self._depth_plot):
            part.setVisible(is_shown)


def _symmetric_limit(values: Array, minimum: float) -> float:
    """Return a y limit that holds all values, at least `minimum`."""
    return max(minimum, 1.1 * float(np.nanmax(np.abs(values), initial=0.0)))
