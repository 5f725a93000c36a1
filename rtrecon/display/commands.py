"""What a person may do in the window: one table of keys, and what each does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap

from rtrecon.display import theme
from rtrecon.display.client import Asker
from rtrecon.display.playback import RATE_HZ
from rtrecon.display.saving import Saver
from rtrecon.display.state import State
from rtrecon.display.view import View

CLIP_S = 30.0

Key = Qt.Key


class Binding(NamedTuple):
    """A key and what it calls; the help lists `names` and `does`, where given."""

    key: Qt.Key
    call: Callable[[], None]
    names: str = ""
    does: str = ""


@dataclass
class Commands:
    """Acts on the view, asks the daemon, saves; says a sentence where that matters."""

    state: State
    view: View
    asker: Asker
    saver: Saver
    say: Callable[[str], None]
    grab: Callable[[], QPixmap]

    def bindings(self) -> list[Binding]:
        """Return all that keys do here, in the order of the help."""
        scrub, settle = self.scrub, self.settle
        stronger, weaker = partial(self.strengthen, 1), partial(self.strengthen, -1)
        clip = f"save the {CLIP_S:.0f} s before what is shown (MP4)"
        return [
            Binding(Key.Key_Space, self.hold, "Space", "hold the movie, go on live"),
            Binding(
                Key.Key_Left, partial(scrub, -1), "← →", "one second back, forward"
            ),
            Binding(Key.Key_Right, partial(scrub, 1)),
            Binding(Key.Key_PageUp, partial(scrub, -10), "Page ↑ ↓", "ten seconds"),
            Binding(Key.Key_PageDown, partial(scrub, 10)),
            Binding(Key.Key_Up, partial(settle, -1), "↑ ↓", "less lag, more settled"),
            Binding(Key.Key_Down, partial(settle, 1)),
            Binding(Key.Key_L, self.newest_or_final, "L", "newest frames, final ones"),
            Binding(Key.Key_T, self.fade, "T", "fade what data cannot tell"),
            Binding(Key.Key_Plus, stronger, "+ -", "contrast of the reconstruction"),
            Binding(Key.Key_Equal, stronger),
            Binding(Key.Key_Minus, weaker),
            Binding(Key.Key_O, self.reorder, "O", "order of the rows of activity"),
            Binding(Key.Key_P, self.next_plane, "P", "next plane"),
            Binding(Key.Key_S, self.picture, "S", "save a picture (PNG)"),
            Binding(Key.Key_C, self.clip, "C", clip),
        ]

    def hold(self) -> None:
        """Stand still, or follow the movie again."""
        if self.view.held is None:
            self.stand_at(self.view.shown)
        else:
            self.view.go_live()

    def stand_at(self, index: int) -> None:
        """Stand at an encoder frame and say what can be looked back at."""
        span = self.state.playback.span
        if span is None:
            return
        self.view.hold(span, index)
        kept_s = (span.newest - span.oldest) / RATE_HZ
        self.say(
            f"Movie held; the last {kept_s:.0f} s are kept "
            f"({span.bytes / 2**20:.0f} MB). Space goes on live"
        )

    def scrub(self, by_s: float) -> None:
        """Go on or back from what is shown, and stand there."""
        self.stand_at(self.view.shown + round(by_s * RATE_HZ))

    def settle(self, hops: int) -> None:
        """Show frames that are so many hops older."""
        span = self.state.playback.span
        if span is not None:
            self.view.settle(span, hops)

    def strengthen(self, steps: int) -> None:
        """Show the reconstruction with more contrast, or less."""
        self.view.strengthen(steps)

    def newest_or_final(self) -> None:
        """Show the newest frames, or the final ones again."""
        self.view.behind = 0 if self.view.behind is None else None

    def fade(self) -> None:
        """Make transparent what the data cannot tell, or no longer."""
        self.view.fade = not self.view.fade
        if self.view.fade and self.state.trust is None:
            self.say("No map has come yet of what the data can tell")

    def reorder(self) -> None:
        """Sort the rows of the raster another way, by what they show now."""
        self.view.reorder()
        if self.state.raster is not None:
            self.state.raster.sort(self.view.order)
            self.state.changes["activity"] += 1

    def next_plane(self) -> None:
        """Show the field of the next plane."""
        planes = sorted(self.state.planes)
        later = [plane for plane in planes if plane > self.view.plane]
        self.view.plane = (later or planes or [0])[0]
        self.state.changes["field"] += 1

    def picture(self) -> None:
        """Save the window as it is."""
        self.say(self.saver.picture(self.grab()))

    def clip(self) -> None:
        """Save the movie up to what is shown."""
        last = self.view.shown
        first = last - round(CLIP_S * RATE_HZ) + 1
        self.say(self.saver.clip(list(self.state.playback.stretch(first, last))))

    def mark(self, note: str) -> None:
        """Send a note to the daemon, which keeps it in the record."""
        clock = time.strftime("%H:%M:%S")
        text = note.strip() or "marked on the display"
        if self.view.held is not None:
            text += f" (at encoder frame {self.view.held})"
        if self.asker.ask("mark", note=text):
            self.say(f"{clock}  sent: {text}")
        else:
            self.say(f"{clock}  not marked: no daemon answers")


def help_text(bindings: list[Binding]) -> str:
    """Return the keys and what they do, as rich text."""
    rows = "".join(
        f'<tr><td style="color:{theme.SKY}; padding-right:24px"><b>{each.names}</b>'
        f"</td><td>{each.does}</td></tr>"
        for each in bindings
        if each.names
    )
    return f"<table cellspacing=4>{rows}</table>"
