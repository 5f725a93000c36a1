"""The window: on a timer, listen, and draw what changed."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pyqtgraph as pg
import zmq
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from rtrecon.display import screen, theme
from rtrecon.display.client import Asker, Listener
from rtrecon.display.health import figures, states
from rtrecon.display.options import DisplayError, DisplayOptions
from rtrecon.display.panels import (
    FieldPanel,
    HealthLine,
    PicturePanel,
    QualityPanel,
    RasterPanel,
    label,
)
from rtrecon.display.playback import faded
from rtrecon.display.state import State
from rtrecon.display.verdict import verdict
from rtrecon.wire import Health

__all__ = ["DisplayError", "DisplayOptions", "Window", "run"]

SIZE = (1280, 800)
TICK_MS = 33  # 30 redraws per second at most
PLOTS_EVERY = 3  # ticks: ten times a second is enough for what moves slowly
SNAPSHOT_MS = 2000
KEYS = "L: newest or final frames    T: fade what the data cannot tell    M: mark"


def run(options: DisplayOptions) -> int:
    """Show the window until it is closed, told to stop, or the daemon shuts down.

    Returns 0. Raises `DisplayError`, or `AddressError`, with a sentence.
    """
    app = screen.application(options.headless)
    with (
        zmq.Context() as context,
        closing(Listener(context, options.publish)) as listener,
        closing(Asker(context, options.control)) as asker,
    ):
        window = Window(options, listener, asker)
        with _closed_by_signals(window):
            window.show()
            window.start()
            return int(app.exec())


class Window(QWidget):
    """Draws a `State`: `listen` feeds it, `draw` shows it, a timer calls both."""

    def __init__(
        self, options: DisplayOptions, listener: Listener, asker: Asker
    ) -> None:
        super().__init__()
        pg.setConfigOptions(antialias=True)
        self.state = State()
        self._options = options
        self._listener = listener
        self._asker = asker
        self._provisional = False  # show the newest frame, not the newest final one
        self._fade = False  # take contrast away where the data cannot tell
        self._drawn: Counter[str] = Counter()
        self._gone = False
        self._ticks = 0
        self._lay_out()

    def start(self) -> None:
        """Begin to listen and draw, and to write snapshots where asked to."""
        self._every(TICK_MS, self._tick)
        if self._options.snapshot is not None:
            self._every(SNAPSHOT_MS, self._keep_snapshot)

    def listen(self, now_s: float) -> None:
        """Take in all messages that wait."""
        for message, payload in self._listener.receive():
            self.state.take(message, payload, now_s)
        self.state.changes["refused"] = self._listener.refused
        if self._changed("refused"):
            self.say(f"A message was refused: {self._listener.complaint}")
        if answer := self._asker.answer():
            self.say(answer)

    def draw(self, now_s: float) -> None:
        """Show the state as it is at `now_s`."""
        self._draw_pictures(now_s)
        self._draw_plots(now_s)

    def save_snapshot(self) -> None:
        """Replace the snapshot file by a picture of the window as it is."""
        path = self._options.snapshot
        if path is None:
            return
        # Renamed when complete, so that nobody ever reads half a picture.
        unfinished = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self.grab().save(str(unfinished), "PNG"):
                raise OSError("is the disk full?")
            unfinished.replace(path)
        except OSError as error:
            self.say(f"Snapshot {path} cannot be written: {error}")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on the keys that the bottom line lists; called by Qt."""
        match event.key():
            case Qt.Key.Key_L:
                self._provisional = not self._provisional
            case Qt.Key.Key_T:
                self._fade = not self._fade
            case Qt.Key.Key_M:
                self._mark()
            case Qt.Key.Key_Question:
                self.say(KEYS)
            case _:
                super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop, and leave a last snapshot; called by Qt."""
        for timer in self.findChildren(QTimer):
            timer.stop()
        self._keep_snapshot()
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
        if self.state.daemon_stopped and self._options.close_with_daemon:
            self.close()

    def _draw_pictures(self, now_s: float) -> None:
        notice = self.state.notice(now_s)
        moment = self.state.playback.moment(now_s, self._provisional)
        if moment is None:
            self.movie.picture.draw(None, notice)
            self.stimulus.picture.draw(None)
            return
        trust = self.state.trust if self._fade else None
        self.movie.picture.draw(faded(moment.reconstruction, trust), notice)
        # A stimulus that stands still beside a notice would pass for a live one.
        self.stimulus.picture.draw(None if notice else moment.stimulus)
        kind = "final" if moment.final else "PROVISIONAL"
        self.movie.note.setText(f"{kind}, seen {moment.age_s:.1f} s ago")
        known = moment.stimulus is not None
        self.stimulus.note.setText("" if known else "not known")

    def _draw_plots(self, now_s: float) -> None:
        state = self.state
        found = verdict(state.quality, now_s)
        if self._changed("quality") or found.word != self.quality.word.text():
            self.quality.draw(state.quality, found)
        if self._changed("field") and state.field is not None:
            self.field.draw(*state.field, state.motion)
        if self._changed("activity") and state.raster is not None:
            self.raster.draw(state.raster)
        gone = state.gone(now_s)
        if self._changed("health") or gone != self._gone:
            self._gone = gone
            self._draw_health({} if gone else state.health)
        if self._changed("event"):
            self.say(state.event)

    def _draw_health(self, health: dict[str, Health]) -> None:
        self.health.draw(figures(health))
        missed = self._listener.missed
        lost = f"display missed {missed} messages, " if missed else ""
        self._states.setText(f"{lost}{states(health)}    ? keys")

    def _changed(self, topic: str) -> bool:
        newest = self.state.changes[topic]
        changed = self._drawn[topic] != newest
        self._drawn[topic] = newest
        return changed

    def _mark(self) -> None:
        clock = time.strftime("%H:%M:%S")
        if self._asker.ask("mark", note=f"marked on the display at {clock}"):
            self.say(f"{clock}  mark sent")
        else:
            self.say(f"{clock}  not marked: no daemon answers")

    def say(self, sentence: str) -> None:
        """Show a sentence on the bottom line, shortened to fit; whole as a tooltip."""
        fits = self.sentence.fontMetrics().elidedText(
            sentence, Qt.TextElideMode.ElideRight, self.sentence.width()
        )
        self.sentence.setText(fits)
        self.sentence.setToolTip(sentence)

    def _lay_out(self) -> None:
        self.setWindowTitle("rtrecon")
        self.setStyleSheet(theme.STYLE)
        self.movie = PicturePanel("Reconstruction")
        self.stimulus = PicturePanel("Stimulus at the same moment")
        rois = self._options.rois
        self.field = FieldPanel(None if rois is None else rois.centers())
        self.quality, self.raster = QualityPanel(), RasterPanel()
        self.health, self.sentence = HealthLine(), label("")
        self._states = label("? keys", "note")
        # A long sentence must not widen the window.
        self.sentence.setSizePolicy(
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
        )
        rows = QVBoxLayout(self)
        rows.setContentsMargins(10, 10, 10, 8)
        rows.setSpacing(8)
        rows.addLayout(_side_by_side((self.movie, 1), (self.stimulus, 1)), 390)
        plots = (self.quality, 35), (self.field, 39), (self.raster, 26)
        rows.addLayout(_side_by_side(*plots), 309)
        rows.addWidget(self.health)
        rows.addLayout(_side_by_side((self.sentence, 1), (self._states, 0)))
        self.resize(*SIZE)

    def _every(self, interval_ms: int, call: Callable[[], None]) -> None:
        timer = QTimer(self)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(call)
        timer.start(interval_ms)


def _side_by_side(*parts: tuple[QWidget, int]) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    for widget, stretch in parts:
        row.addWidget(widget, stretch)
    return row


@contextmanager
def _closed_by_signals(window: Window) -> Iterator[None]:
    """Close the window on Ctrl-C or a request to end; its timer lets Python notice."""
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(number, lambda *_: window.close()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
