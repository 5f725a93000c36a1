"""What a person chose to see: which moment, how settled, how strong, how honest."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.display.playback import Moment, Playback, Span
from rtrecon.display.raster import ORDERS, Order

GAINS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
_USUAL = GAINS.index(1.0)


@dataclass
class View:
    """The choices; none of them changes what is recorded or what others see.

    behind: frames after the newest one, None = as old as it takes to be final. held:
    the encoder frame that the movie stands at, None = live. fade: let what the data
    cannot tell be transparent. shown: the encoder frame on the screen.
    """

    behind: int | None = None
    held: int | None = None
    fade: bool = False
    contrast: int = _USUAL  # which of the gains
    order: Order = "as recorded"  # of the raster's rows
    plane: int = 0
    shown: int = 0

    @property
    def gain(self) -> float:
        """How much the movie's contrast is enlarged."""
        return GAINS[self.contrast]

    def moment(self, playback: Playback, now_s: float) -> Moment | None:
        """Return what to show, and remember which frame that is."""
        if self.held is None:
            moment = playback.moment(now_s, self.behind)
        else:
            moment = playback.at(self.held, now_s)
        if moment is not None and self.held is None:
            self.shown = moment.index
        return moment

    def settle(self, span: Span, hops: int) -> None:
        """Show frames that are so many hops older: more settled, less recent."""
        now = span.provisional if self.behind is None else self.behind
        later = max(0, now + hops * span.hop)
        self.behind = None if later >= span.provisional else later

    def hold(self, span: Span, index: int) -> None:
        """Stand at an encoder frame, or at the nearest that is kept."""
        self.held = self.shown = min(max(index, span.oldest), span.newest)

    def go_live(self) -> None:
        """Follow the movie again."""
        self.held = None

    def strengthen(self, steps: int) -> None:
        """Choose more contrast, or less."""
        self.contrast = min(max(self.contrast + steps, 0), len(GAINS) - 1)

    def reorder(self) -> None:
        """Choose the next order of the raster's rows."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
