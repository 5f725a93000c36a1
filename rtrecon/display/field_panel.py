"""The registered field with its regions, how the brain moved, and how deep it went."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display import theme
from rtrecon.display.panels import Panel, column, label, narrow, row
from rtrecon.display.picture import Picture
from rtrecon.display.plots import key, line, plot
from rtrecon.display.state import MOTION_S, Plane

_LEAST_MOTION_PX = 5.5  # so that a still brain draws a flat line, not magnified noise
_LEAST_DEPTH = 3.0  # um, or planes


class FieldPanel(Panel):
    """One plane: its field beside its motion, and its depth where that is known."""

    def __init__(self) -> None:
        super().__init__("Field and motion")
        self.picture = Picture()
        self._y, self._x, self._z = (narrow(label("")) for _ in range(3))
        self._motion = plot(MOTION_S, (-_LEAST_MOTION_PX, _LEAST_MOTION_PX))
        self._y_line = line(self._motion, theme.SKY, 2)
        self._x_line = line(self._motion, theme.ORANGE, 2)
        self._depth = plot(MOTION_S, (-_LEAST_DEPTH, _LEAST_DEPTH))
        self._z_line = line(self._depth, theme.PINK, 2)
        traces = column(row(self._y, self._x), self._motion, self._z, self._depth)
        traces.setStretch(1, 3)
        traces.setStretch(3, 2)
        both = row(self.picture, traces)
        both.setStretch(0, 1)
        both.setStretch(1, 1)
        self.body.addLayout(both, 1)
        self._show_depth(False)

    def outline(self, labels: Array | None) -> None:
        """Draw a line round each neuron: labels as `Picture.outline` takes them."""
        self.picture.outline(labels)

    def draw(self, plane: Plane, of: int) -> None:
        """Show one plane `of` so many, and its shifts until now, newest at 0 s."""
        field = plane.field
        if field is None:
            return
        self.picture.draw(plane.image)
        which = f"plane {field.plane + 1} of {of}, " if of > 1 else ""
        trouble = field.reason or f"match {field.confidence:.2f}"
        self.note.setText(which + trouble)
        y_px, x_px = field.shift_px
        self._y.setText(key(theme.SKY, "━", "y", y_px, "{:+.1f} px"))
        self._x.setText(key(theme.ORANGE, "━", "x", x_px, "{:+.1f} px"))
        table = np.array(plane.motion, np.float64).reshape(-1, 4)
        at_s = table[:, 0] - table[-1, 0]
        self._y_line.setData(at_s, table[:, 1], connect="finite")
        self._x_line.setData(at_s, table[:, 2], connect="finite")
        most_px = _most(table[:, 1:3], _LEAST_MOTION_PX)
        self._motion.setYRange(-most_px, most_px, padding=0)
        self._draw_depth(at_s, table[:, 3])

    def _draw_depth(self, at_s: Array, z: Array) -> None:
        known = bool(np.isfinite(z).any())
        self._show_depth(known)
        if known:
            self._z.setText(key(theme.PINK, "━", "z", float(z[-1]), "{:+.1f} deeper"))
            self._z_line.setData(at_s, z, connect="finite")
            most = _most(z, _LEAST_DEPTH)
            self._depth.setYRange(-most, most, padding=0)

    def _show_depth(self, shown: bool) -> None:
        for part in (self._z, self._depth):
            part.setVisible(shown)


def _most(values: Array, least: float) -> float:
    return max(least, 1.1 * float(np.nanmax(np.abs(values), initial=0.0)))
