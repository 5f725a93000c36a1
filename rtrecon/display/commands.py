"""What the user can do with keys: one table of keys, and the action of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap

from rtrecon.display import theme
from rtrecon.display.client import RequestSocket
from rtrecon.display.saving import FileSaver
from rtrecon.display.state import DisplayState
from rtrecon.display.view import View

CLIP_S = 30.0
CONFIRM_S = 3.0  # within this time the second key press confirms the first

Key = Qt.Key


class KeyBinding(NamedTuple):
    """A key and the action it calls; the help lists `key_names` and `description`.

    A binding without description shares that of the binding before it.
    """

    key: Qt.Key
    action: Callable[[], None]
    key_names: str = ""
    description: str = ""


@dataclass
class Commands:
    """The actions on the movie, requests to the daemon, and files to save."""

    state: DisplayState
    view: View
    requests: RequestSocket
    saver: FileSaver
    notify: Callable[[str], None]
    grab_window: Callable[[], QPixmap]
    _reference_asked_s: float = field(default=-CONFIRM_S, init=False)

    def key_bindings(self) -> list[KeyBinding]:
        """Return the keys of the movie and of the experiment."""
        skip, change_lag = self.skip_seconds, self.change_lag
        contrast = self.view.change_contrast
        clip = f"save a clip of the last {CLIP_S:.0f} s up to the frame shown (MP4)"
        return [
            KeyBinding(
                Key.Key_Space, self.toggle_pause, "Space", "pause the movie / go live"
            ),
            KeyBinding(
                Key.Key_Left, partial(skip, -1), "← →", "one second back / forward"
            ),
            KeyBinding(Key.Key_Right, partial(skip, 1)),
            KeyBinding(
                Key.Key_PageUp,
                partial(skip, -10),
                "Page ↑ ↓",
                "ten seconds back / forward",
            ),
            KeyBinding(Key.Key_PageDown, partial(skip, 10)),
            KeyBinding(
                Key.Key_Up,
                partial(change_lag, -1),
                "↑ ↓",
                "show newer (provisional) / older (final) frames",
            ),
            KeyBinding(Key.Key_Down, partial(change_lag, 1)),
            KeyBinding(
                Key.Key_L,
                self.view.toggle_newest,
                "L",
                "newest frames / newest final frames",
            ),
            KeyBinding(
                Key.Key_T,
                self.toggle_unconstrained,
                "T",
                "make transparent what the data do not constrain",
            ),
            KeyBinding(
                Key.Key_Plus,
                partial(contrast, 1),
                "+ -",
                "contrast of the reconstruction",
            ),
            KeyBinding(Key.Key_Equal, partial(contrast, 1)),
            KeyBinding(Key.Key_Minus, partial(contrast, -1)),
            KeyBinding(
                Key.Key_R,
                self.request_reference,
                "R R",
                "take a new reference image (press twice)",
            ),
            KeyBinding(
                Key.Key_S, self.save_picture, "S", "save a picture of the window (PNG)"
            ),
            KeyBinding(Key.Key_C, self.save_clip, "C", clip),
        ]

    def toggle_pause(self) -> None:
        """Pause the movie, or follow it live again."""
        if self.view.is_paused:
            self.view.resume_live()
        else:
            self.pause_at(self.view.shown_index)

    def pause_at(self, index: int) -> None:
        """Pause at an encoder frame and say how far back the user can look."""
        span = self.state.playback.span
        if span is None:
            return
        self.view.pause_at(span, index)
        stored_s = (span.newest - span.oldest) / span.rate_hz
        self.notify(
            f"Movie paused; the last {stored_s:.0f} s are stored "
            f"({span.n_bytes / 2**20:.0f} MB). Press Space to go live"
        )

    def skip_seconds(self, seconds: float) -> None:
        """Pause at a frame so many seconds after (or before) the frame shown."""
        self.pause_at(self.view.shown_index + round(seconds * self._rate_hz))

    def change_lag(self, n_hops: int) -> None:
        """Show frames that are so many hops older."""
        span = self.state.playback.span
        if span is not None:
            self.view.change_lag(span, n_hops)

    def toggle_unconstrained(self) -> None:
        """Make transparent what the data do not constrain, or show it again."""
        self.view.hides_unconstrained = not self.view.hides_unconstrained
        is_known = self.state.spread or self.state.identifiability is not None
        if self.view.hides_unconstrained and not is_known:
            self.notify("The daemon has not published which pixels the data constrain")

    def request_reference(self) -> None:
        """Ask the daemon for a new reference image; the second press confirms."""
        now_s = time.monotonic()
        if now_s - self._reference_asked_s > CONFIRM_S:
            self._reference_asked_s = now_s
            self.notify(
                f"Press R again within {CONFIRM_S:.0f} s to take a new reference image"
            )
            return
        self._reference_asked_s = now_s - 2 * CONFIRM_S
        if not self.requests.send_request("reference"):
            self.notify("No new reference: the daemon does not answer")

    def reassign_neurite(self, plane: int, y: float, x: float, number: int) -> None:
        """Ask the daemon to give the neurite at a position (camera px) to a neuron."""
        place = {"plane": plane, "y": y, "x": x, "neuron": number}
        if not self.requests.send_request("reassign", **place):
            self.notify("The neurite keeps its owner: the daemon does not answer")

    def save_picture(self) -> None:
        """Save the window as it is."""
        self.notify(self.saver.save_picture(self.grab_window()))

    def save_clip(self) -> None:
        """Save the movie up to the frame shown."""
        last = self.view.shown_index
        first = last - round(CLIP_S * self._rate_hz) + 1
        pairs = list(self.state.playback.frame_pairs(first, last))
        self.notify(self.saver.start_clip(pairs, self.state.playback.space))

    @property
    def _rate_hz(self) -> float:
        return self.state.playback.space.rate_hz

    def send_note(self, note: str) -> None:
        """Send a note to the daemon, which saves it in the recording."""
        clock = time.strftime("%H:%M:%S")
        text = note.strip() or "marked on the display"
        if self.view.is_paused:
            text += f" (at encoder frame {self.view.paused_index})"
        if self.requests.send_request("mark", note=text):
            self.notify(f"{clock}  note sent: {text}")
        else:
            self.notify(f"{clock}  note not sent: the daemon does not answer")


def format_key_help(bindings: Iterable[KeyBinding]) -> str:
    """Return the keys and what they do, as rich text."""
    rows = "".join(
        f'<tr><td style="color:{theme.SKY}; padding-right:24px">'
        f"<b>{binding.key_names}</b></td><td>{binding.description}</td></tr>"
        for binding in bindings
        if binding.key_names
    )
    return f"<table cellspacing=4>{rows}</table>"
