"""The window: on a timer, listen, and draw what changed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing

import pyqtgraph as pg
import zmq
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent

from rtrecon.core.process import ended_by_signals
from rtrecon.core.types import Array
from rtrecon.display import layout, screen, theme
from rtrecon.display.client import Client, masks_of
from rtrecon.display.commands import Binding, Commands, help_text
from rtrecon.display.front_page import FrontPage
from rtrecon.display.health import figures, states
from rtrecon.display.options import DisplayError, DisplayOptions
from rtrecon.display.picture import Look
from rtrecon.display.playback import Moment
from rtrecon.display.saving import Saver, write_png
from rtrecon.display.state import State
from rtrecon.display.verdict import verdict
from rtrecon.display.view import View

__all__ = ["DisplayError", "DisplayOptions", "Window", "run"]

TICK_MS = 33  # 30 redraws per second at most
PLOTS_EVERY = 5  # ticks: six times a second is enough for what moves slowly
SNAPSHOT_MS = 2000
_GUESSED = 0.5  # below, more than half of what would tell a frame is not there
MISSED_S = 10.0  # for so long is told that messages were missed


def run(options: DisplayOptions) -> int:
    """Show the window until it is closed, told to stop, or the daemon shuts down.

    Returns 0. Raises `DisplayError`, or `AddressError`, with a sentence.
    """
    app = screen.application(options.headless)
    addresses = options.publish, options.control
    with (
        zmq.Context() as context,
        closing(Client(context, addresses, options.keys)) as client,
    ):
        window = Window(options, client)
        with ended_by_signals(window.close):  # its timer lets Python notice
            window.show()
            window.start()
            return int(app.exec())


class Window(FrontPage):
    """Draws a `State`: `listen` feeds it, `draw` shows it, a timer calls both.

    `drawn` is emitted with every tick of the timer.
    """

    drawn = Signal()

    def __init__(self, options: DisplayOptions, client: Client) -> None:
        pg.setConfigOptions(antialias=True)
        super().__init__()
        self.state = State()
        self.view = View()
        self._options = options
        self._client = client
        self._saver = Saver(options.folder)
        self._commands = Commands(
            self.state, self.view, client.asker, self._saver, self.say, self.grab
        )
        self._bindings = [
            *self._commands.bindings(),
            Binding(Qt.Key.Key_M, self.write_note, "M", "mark: a note for the record"),
            Binding(Qt.Key.Key_F, self.fill_screen, "F", "fill the screen"),
            Binding(
                Qt.Key.Key_Question,
                self.show_help,
                "?",
                "show these keys, Esc hides them",
            ),
            Binding(Qt.Key.Key_Escape, self.dismiss),
        ]
        self.help.setText(help_text(self._bindings))
        self.note.returnPressed.connect(self._mark)
        self.strip.asked.connect(self._commands.stand_at)
        self._drawn: Counter[str] = Counter()
        self._masks_asked: tuple[str, int] = "", 0
        self._masks: Array | None = None
        self._missed, self._missed_s = 0, -MISSED_S
        self._gone = False
        self._ticks = 0
        if options.remember:
            layout.restore(self, layout.memory())

    def start(self) -> None:
        """Begin to listen and draw, and to write snapshots where asked to."""
        self._every(TICK_MS, self._tick)
        if self._options.snapshot is not None:
            self._every(SNAPSHOT_MS, self._keep_snapshot)

    def listen(self, now_s: float) -> None:
        """Take in all messages that wait."""
        listener = self._client.listener
        for message, payload in listener.receive():
            self.state.take(message, payload, now_s)
        self.state.refusal = listener.refusal()
        self.state.changes["refused"] = listener.refused
        if self._changed("refused"):
            self.say(f"A message was refused: {listener.complaint}")
        if listener.missed != self._missed:
            self._missed, self._missed_s = listener.missed, now_s
        if answer := self._client.asker.answer():
            self.say(answer.sentence)
        if told := self._saver.told():
            self.say(told)
        self._learn_masks()

    def draw(self, now_s: float) -> None:
        """Show the state as it is at `now_s`."""
        self._draw_pictures(now_s)
        self._draw_plots(now_s)

    def save_snapshot(self) -> None:
        """Replace the snapshot file by a picture of the window as it is."""
        path = self._options.snapshot
        if path is None:
            return
        try:
            write_png(path, self.grab())
        except OSError as error:
            self.say(f"Snapshot {path} cannot be written: {error}")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Do what the key is bound to; called by Qt."""
        calls = [each.call for each in self._bindings if each.key == event.key()]
        for call in calls:
            call()
        if not calls:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop, finish what is being saved, and remember the layout; called by Qt."""
        for timer in self.findChildren(QTimer):
            timer.stop()
        self._keep_snapshot()
        self._saver.close()
        if self._options.remember:
            layout.keep(self, layout.memory())
        super().closeEvent(event)

    def _keep_snapshot(self) -> None:
        """Save a snapshot, unless a better one is there: of the movie while it ran."""
        running = not self.state.notice(time.monotonic())
        path = self._options.snapshot
        if path is not None and (running or not path.exists()):
            self.save_snapshot()

    def _tick(self) -> None:
        now_s = time.monotonic()
        self.listen(now_s)
        self._draw_pictures(now_s)
        self._ticks += 1
        if self._ticks % PLOTS_EVERY == 0:
            self._draw_plots(now_s)
        self.drawn.emit()
        if self.state.daemon_stopped and self._options.close_with_daemon:
            self.close()

    def _draw_pictures(self, now_s: float) -> None:
        view, playback = self.view, self.state.playback
        moment = view.moment(playback, now_s)
        # Who holds the movie wants to see it, whatever becomes of the daemon.
        notice = "" if view.held is not None and moment else self.state.notice(now_s)
        if moment is None:
            self.movie.picture.draw(None, notice)
            self.stimulus.picture.draw(None)
            return
        look = Look(
            view.gain,
            self.state.trust if view.fade else None,
            moment.told if view.fade else 1.0,
            theme.FINAL if moment.final else theme.PROVISIONAL,
            dashed=not moment.final,
        )
        self.movie.picture.draw(moment.reconstruction, notice, look)
        # A stimulus that stands still beside a notice would pass for a live one.
        self.stimulus.picture.draw(None if notice else moment.stimulus)
        self.movie.note.setText(self._movie_note(moment))
        known = moment.stimulus is not None
        self.stimulus.note.setText("" if known else "not known")
        self.strip.draw(playback.span, moment.index, view.held is not None)

    def _movie_note(self, moment: Moment) -> str:
        held = "HELD, " if self.view.held is not None else ""
        kind = "final" if moment.final else "PROVISIONAL"
        contrast = f", contrast x {self.view.gain:g}" if self.view.gain != 1 else ""
        faded = ", hatched: not told by the data" if self.view.fade else ""
        guess = "EXTRAPOLATED, " if moment.told < _GUESSED else ""
        age = f"seen {moment.age_s:.1f} s ago"
        return f"{held}{guess}{kind}, {age}{contrast}{faded}"

    def _draw_plots(self, now_s: float) -> None:
        state = self.state
        found = verdict(state.quality, now_s)
        if self._changed("quality") or found.word != self.quality.word.text():
            self.quality.draw(state.quality, found)
            self.held_out.draw(state.held_out.traces() if state.held_out else [])
        plane = state.planes.get(self.view.plane)
        if self._changed("field") and plane is not None:
            self.field.draw(plane, len(state.planes))
            self._outline()
        if self._changed("activity") and state.raster is not None:
            self.raster.draw(state.raster, self.view.order)
        gone = state.gone(now_s)
        if self._changed("health") or gone != self._gone:
            self._gone = gone
            self.stale(gone)
            self.health.draw(figures({} if gone else state.health))
        self._draw_states(now_s)
        if self._changed("event"):
            self.say(state.event)

    def _draw_states(self, now_s: float) -> None:
        lately = now_s - self._missed_s < MISSED_S
        missed = f"this window missed {self._missed} messages" if lately else ""
        doing = "" if self._gone else states(self.state.health)
        told = ", ".join(part for part in (missed, doing) if part)
        self.states.setText(f"{told}    ? keys")

    def _learn_masks(self) -> None:
        """Ask for the masks once a session has a field, and again with a new one."""
        key = self.state.session, self.state.events["reference"]
        if self.state.planes and key != self._masks_asked:
            self._masks_asked = key
            self._client.masks.ask("masks")
        if answer := self._client.masks.answer():
            self._masks = masks_of(answer)
            self.state.changes["field"] += 1

    def _outline(self) -> None:
        masks, plane = self._masks, self.view.plane
        known = masks is not None and plane < len(masks)
        self.field.outline(masks[plane] if masks is not None and known else None)

    def _changed(self, topic: str) -> bool:
        newest = self.state.changes[topic]
        changed = self._drawn[topic] != newest
        self._drawn[topic] = newest
        return changed

    def _mark(self) -> None:
        self._commands.mark(self.note.text())
        self.dismiss()

    def _every(self, interval_ms: int, call: Callable[[], None]) -> None:
        timer = QTimer(self)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(call)
        timer.start(interval_ms)
