"""The panels of the window, from left to right.

To add a panel, write its `PanelState` in `panel_states` and its `Panel` in this folder,
and add the panel to `PANELS`. The window creates the panels of this table, gives each
its messages, draws it when its state has changed and lists its keys in the help.
"""

from __future__ import annotations

from typing import Any

from rtrecon.display.panels.activity import ActivityPanel
from rtrecon.display.panels.field import FieldPanel
from rtrecon.display.panels.held_out import HeldOutPanel
from rtrecon.display.panels.panel import Panel
from rtrecon.display.panels.quality import QualityPanel

PANELS: tuple[type[Panel[Any]], ...] = (
    QualityPanel,
    HeldOutPanel,
    FieldPanel,
    ActivityPanel,
)
