"""The window: on a timer it receives messages and draws what has changed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pyqtgraph as pg
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent

from rtrecon.core.types import Array
from rtrecon.display import DisplayOptions, layout, theme
from rtrecon.display.client import DisplayClient, read_masks, read_preview
from rtrecon.display.commands import Commands, KeyBinding, format_key_help
from rtrecon.display.health_line import describe_states, make_figures
from rtrecon.display.panel_states.dish import DishState
from rtrecon.display.panel_states.quality import QualityState, assess_quality
from rtrecon.display.panels.registry import PANELS
from rtrecon.display.picture import PictureStyle
from rtrecon.display.playback import COURSE_S, Moment
from rtrecon.display.saving import FileSaver, write_png
from rtrecon.display.space_words import describe_course, describe_sd
from rtrecon.display.state import DisplayState
from rtrecon.display.view import View

FRAME_INTERVAL_MS = 33  # at most 30 redraws per second
PANEL_INTERVAL_FRAMES = 5  # panels change slowly: six redraws per second are enough
SNAPSHOT_INTERVAL_MS = 2000
PREVIEW_INTERVAL_S = 0.2  # between two requests for a preview that is being made
MIN_INFORMATION = 0.5  # below, more than half of the evidence for a frame is missing
MISSED_NOTICE_S = 10.0  # how long the window reports missed messages


class Window(layout.WindowLayout):
    """Draws a `DisplayState`; `receive` updates it, `draw` shows it.

    `frame_drawn` is emitted after each redraw.
    """

    frame_drawn = Signal()

    def __init__(self, options: DisplayOptions, client: DisplayClient) -> None:
        pg.setConfigOptions(antialias=True)
        super().__init__(PANELS)
        state_types = [panel.state_type for panel in self.panels]
        self.state = DisplayState(state_types, options.publish)
        self.view = View()
        self._options = options
        self._client = client
        self._saver = FileSaver(options.folder)
        self._commands = Commands(
            self.state, self.view, client.requests, self._saver, self.notify, self.grab
        )
        self._bindings = self._all_key_bindings()
        self.help.setText(format_key_help(self._bindings))
        self.note.returnPressed.connect(self._send_note)
        self.timeline.frame_clicked.connect(self._commands.pause_at)
        self.dish_page.preview_asked.connect(self._ask_for_preview)
        self.dish_page.reassign_clicked.connect(self._commands.reassign_neurite)
        self._requested_masks: tuple[str, int] = "", 0
        self._next_preview_s = math.inf  # when to ask for it again
        self._n_invalid = 0
        self._n_missed, self._missed_s = 0, -MISSED_NOTICE_S
        self._is_daemon_silent = False
        self._is_better_than_chance = False
        self._n_frames_drawn = 0
        if options.remember_layout:
            layout.restore_layout(self, layout.open_layout_settings())

    def start(self) -> None:
        """Start to receive and draw, and to write snapshots if the options ask so."""
        self._start_timer(FRAME_INTERVAL_MS, self._receive_and_draw)
        if self._options.snapshot is not None:
            self._start_timer(SNAPSHOT_INTERVAL_MS, self._update_snapshot)

    def receive(self, now_s: float) -> None:
        """Store all messages and answers that have arrived."""
        subscriber = self._client.subscriber
        for message, payload in subscriber.receive_pending():
            self.state.update(message, payload, now_s)
        self.state.refusal = subscriber.read_refusal()
        if subscriber.n_invalid != self._n_invalid:
            self._n_invalid = subscriber.n_invalid
            self.notify(f"Invalid message ignored: {subscriber.last_error}")
        if subscriber.n_missed != self._n_missed:
            self._n_missed, self._missed_s = subscriber.n_missed, now_s
        if answer := self._client.requests.receive_answer():
            self.notify(answer.sentence)
        if notice := self._saver.finished_clip_notice():
            self.notify(notice)
        self._update_masks()
        self._update_preview(now_s)

    def draw(self, now_s: float) -> None:
        """Show the state as it is at `now_s`."""
        self._draw_pictures(now_s)
        self._draw_panels(now_s)

    def save_snapshot(self) -> None:
        """Replace the snapshot file by a picture of the window as it is."""
        path = self._options.snapshot
        if path is None:
            return
        try:
            write_png(path, self.grab())
        except OSError as error:
            self.notify(f"Snapshot {path} cannot be written: {error}")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Call the action of the key; called by Qt."""
        actions = [each.action for each in self._bindings if each.key == event.key()]
        for action in actions:
            action()
        if not actions:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop, finish the clips and save the layout; called by Qt."""
        for timer in self.findChildren(QTimer):
            timer.stop()
        self._update_snapshot()
        self._saver.close()
        if self._options.remember_layout:
            layout.save_layout(self, layout.open_layout_settings())
        super().closeEvent(event)

    def _all_key_bindings(self) -> list[KeyBinding]:
        """Return the keys of the commands, of the panels, and of the window."""
        key = Qt.Key
        bindings = self._commands.key_bindings()
        for panel in self.panels:
            bindings += panel.key_bindings()
        return [
            *bindings,
            KeyBinding(
                key.Key_M, self.open_note, "M", "write a note into the recording"
            ),
            KeyBinding(key.Key_F, self.toggle_full_screen, "F", "full screen on / off"),
            KeyBinding(
                key.Key_Question, self.toggle_help, "?", "show or hide these keys"
            ),
            KeyBinding(
                key.Key_Escape, self.hide_note_and_help, "Esc", "close note and help"
            ),
        ]

    def _update_snapshot(self) -> None:
        """Save a snapshot, but do not replace one of a running movie by a notice."""
        is_running = not self.state.notice(time.monotonic())
        is_running |= self.state.is_without_encoder
        path = self._options.snapshot
        if path is not None and (is_running or not path.exists()):
            self.save_snapshot()

    def _receive_and_draw(self) -> None:
        now_s = time.monotonic()
        self.receive(now_s)
        self._draw_pictures(now_s)
        self._n_frames_drawn += 1
        if self._n_frames_drawn % PANEL_INTERVAL_FRAMES == 0:
            self._draw_panels(now_s)
        self.frame_drawn.emit()
        if self.state.daemon_stopped and self._options.close_with_daemon:
            self.close()

    def _draw_pictures(self, now_s: float) -> None:
        view, playback = self.view, self.state.playback
        moment = view.select_moment(playback, now_s)
        # A paused movie stays visible even when the daemon has stopped.
        hides_notice = view.is_paused and moment is not None
        notice = "" if hides_notice else self.state.notice(now_s)
        if moment is None:
            self.movie.picture.draw(None, notice)
            # Without an encoder, the stimulus is all there is to see.
            newest = self.state.contents.newest_stimulus
            self.stimulus.picture.draw(
                newest if self.state.is_without_encoder else None
            )
            return
        movie, stimulus = moment.reconstruction, moment.stimulus
        if not playback.space.is_picture:
            movie, stimulus = playback.make_courses(moment.index)
        self.movie.picture.draw(movie, notice, self._movie_style(moment))
        # Beside a notice, an old stimulus would look like a live one.
        self.stimulus.picture.draw(None if notice else stimulus)
        self.movie.note.show_text(self._describe_moment(moment))
        is_known = moment.stimulus is not None
        rows = describe_course(playback.space, COURSE_S)
        self.stimulus.note.show_text(rows if is_known else "not known")
        self.timeline.draw(playback.span, moment.index, view.is_paused)

    def _movie_style(self, moment: Moment) -> PictureStyle:
        view = self.view
        return PictureStyle(
            view.contrast_gain,
            self._find_opacity(moment) if view.hides_unconstrained else None,
            moment.information_fraction if view.hides_unconstrained else 1.0,
            theme.FINAL if moment.is_final else theme.PROVISIONAL,
            has_dashed_border=not moment.is_final,
        )

    def _find_opacity(self, moment: Moment) -> Array | None:
        """Return the share of each pixel that the data decide, now or in general."""
        spread = self.state.spread
        if spread is None:
            return self.state.identifiability
        return spread.data_share(self._find_age(moment))

    def _find_age(self, moment: Moment) -> int:
        """Return how many frames newer than this one are in the movie."""
        span = self.state.playback.span
        return span.newest - moment.index if span is not None else 0

    def _describe_sd(self, moment: Moment) -> str:
        """Return the s.d., but not of a movie that is no better than chance.

        It was calibrated for an encoder that fits these neurons.
        """
        spread = self.state.spread
        if spread is None or not self._is_better_than_chance:
            return ""
        sd_levels = spread.typical_sd(self._find_age(moment))
        return describe_sd(sd_levels, self.state.playback.space)

    def _describe_moment(self, moment: Moment) -> str:
        view = self.view
        parts = [
            "PAUSED" if view.is_paused else "",
            "EXTRAPOLATED" if moment.information_fraction < MIN_INFORMATION else "",
            "final" if moment.is_final else "PROVISIONAL",
            f"recorded {moment.age_s:.1f} s ago",
            self._describe_sd(moment),
            f"contrast x {view.contrast_gain:g}" if view.contrast_gain != 1 else "",
            "hatched: by prior" if view.hides_unconstrained else "",
        ]
        return ", ".join(part for part in parts if part)

    def _draw_panels(self, now_s: float) -> None:
        state = self.state
        changed, state.changed = state.changed, set()
        for panel in self.panels:
            panel_state = state.panel(panel.state_type)
            is_changed = panel.state_type in changed or panel.needs_redraw
            if is_changed or panel.is_outdated(panel_state, now_s):
                panel.needs_redraw = False
                panel.draw(panel_state, now_s)
        self.show_dish(state.panel(DishState).has_pictures)
        quality = assess_quality(state.panel(QualityState).samples, now_s)
        self._is_better_than_chance = quality.label in ("GOOD", "FAIR")
        is_silent = state.is_daemon_silent(now_s)
        self.show_conditions(state.conditions(now_s))
        if "health" in changed or is_silent != self._is_daemon_silent:
            self._is_daemon_silent = is_silent
            self.dim_panels(is_silent)
            self.health_line.draw(make_figures({} if is_silent else state.health))
        self._draw_process_states(now_s)
        if "event" in changed:
            self.notify(state.event)

    def _draw_process_states(self, now_s: float) -> None:
        is_recent = now_s - self._missed_s < MISSED_NOTICE_S
        missed = f"this window missed {self._n_missed} messages" if is_recent else ""
        states = "" if self._is_daemon_silent else describe_states(self.state.health)
        text = ", ".join(part for part in (missed, states) if part)
        self.process_states.setText(f"{text}    ? keys")

    def _update_masks(self) -> None:
        """Ask for the masks when a session has images, and after a new reference."""
        current = self.state.session, self.state.event_counts["reference"]
        if self.state.has_field and current != self._requested_masks:
            self._requested_masks = current
            self._client.mask_requests.send_request("masks")
        if answer := self._client.mask_requests.receive_answer():
            masks = read_masks(answer)
            for panel in self.panels:
                panel.set_masks(masks)

    def _ask_for_preview(self, plane: int, body_um: float, sensitivity: float) -> None:
        settings = {"plane": plane, "body_um": body_um, "sensitivity": sensitivity}
        if not self._client.preview_requests.send_request("preview", **settings):
            self.dish_page.show_preview("the daemon does not answer", None)

    def _update_preview(self, now_s: float) -> None:
        """Show the preview of a dish; ask again while it is being made."""
        if answer := self._client.preview_requests.receive_answer():
            self.dish_page.show_preview(answer.sentence, read_preview(answer))
            if answer.fields.get("is_pending"):
                self._next_preview_s = now_s + PREVIEW_INTERVAL_S
        if now_s >= self._next_preview_s:
            self._next_preview_s = math.inf
            self.dish_page.ask_for_preview()

    def _send_note(self) -> None:
        self._commands.send_note(self.note.text())
        self.hide_note_and_help()

    def _start_timer(self, interval_ms: int, action: Callable[[], None]) -> None:
        timer = QTimer(self)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(action)
        timer.start(interval_ms)
