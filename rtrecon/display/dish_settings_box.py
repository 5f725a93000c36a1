"""The two settings of a dish that matter, with a preview on the newest picture."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QPushButton, QWidget

from rtrecon.display.panels.panel import make_label, make_row

_BODY_UM, _SENSITIVITY = (1.0, 100.0, 12.0), (0.3, 3.0, 1.0)  # low, high, first


class DishSettingsBox(QWidget):
    """Size of a body and sensitivity, and a button that shows what they find."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.body_um = _make_box(_BODY_UM, 1.0, " um")
        self.sensitivity = _make_box(_SENSITIVITY, 0.1, "")
        self.button = QPushButton("Preview")
        self.button.setCheckable(True)
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.setToolTip(
            "Shows what these settings find in the newest picture.\nTo use them, write "
            "them into [dish] of the settings file and start the daemon anew."
        )
        row = make_row(
            make_label("Bodies"),
            self.body_um,
            make_label("Sensitivity"),
            self.sensitivity,
            self.button,
        )
        row.setContentsMargins(0, 0, 0, 0)
        self.setLayout(row)
        self.button.toggled.connect(lambda _: self.changed.emit())
        for box in (self.body_um, self.sensitivity):
            box.valueChanged.connect(lambda _: self.changed.emit())

    @property
    def is_previewed(self) -> bool:
        """Whether the preview is switched on."""
        return self.button.isChecked()

    @property
    def values(self) -> tuple[float, float]:
        """Size of a body in um, and sensitivity."""
        return round(self.body_um.value(), 3), round(self.sensitivity.value(), 3)


def _make_box(
    limits: tuple[float, float, float], step: float, unit: str
) -> QDoubleSpinBox:
    low, high, first = limits
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setValue(first)
    box.setSingleStep(step)
    box.setDecimals(1)
    box.setSuffix(unit)
    box.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    return box
