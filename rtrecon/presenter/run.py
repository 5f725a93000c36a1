"""Shows the clips from the first to the last, and reports how it went."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtGui import QGuiApplication

from rtrecon.core.process import call_on_signals
from rtrecon.display.screen_check import find_pyside_problem, require_screen
from rtrecon.presenter import PresenterError
from rtrecon.presenter.clips import ScreenClip, make_gray_clip
from rtrecon.presenter.flip_log import FlipLog
from rtrecon.presenter.playlist import Playlist, PlayOrder
from rtrecon.presenter.presentation import Presentation, ScreenPicture
from rtrecon.presenter.refresh import RefreshMonitor
from rtrecon.presenter.screen import ScreenLayout, ScreenWindow
from rtrecon.protocol import messages
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.senders import AuxiliarySender
from rtrecon.transport.subscriber import Subscriber

Notify = Callable[[str], None]
NEXT_CLIP = "next_clip"  # the event that asks for a clip
_DAEMON_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class DaemonLink:
    """Where the daemon receives and publishes; keys: of a client."""

    frames: str
    publish: str
    keys: ClientKeys | None = None


@dataclass(frozen=True)
class PresenterRequest:
    """What is shown and how.

    names: of the clips, in the order of the user. daemon: None shows the clips without
    sending. gray_s: how long the screen is gray between two clips. log: table of times.
    expected_refresh_hz: of the screen, by the settings; None if they do not say.
    """

    names: list[str]
    order: PlayOrder
    layout: ScreenLayout
    daemon: DaemonLink | None
    gray_s: float = 1.0
    log: Path | None = None
    expected_refresh_hz: float | None = None


def run_presenter(
    request: PresenterRequest, clips: dict[str, ScreenClip], notify: Notify
) -> None:
    """Show the clips until the last one, Esc or a signal.

    Raises PresenterError if there is no such screen or no daemon.
    """
    require_screen()
    if problem := find_pyside_problem():
        raise PresenterError(problem)
    app = QGuiApplication.instance() or QGuiApplication(["rtrecon stimulus"])
    with ExitStack() as stack:
        link = stack.enter_context(_Link(request.daemon, notify))
        log = stack.enter_context(closing(FlipLog(request.log)))
        window = ScreenWindow(request.layout)
        stack.callback(window.destroy)
        playlist = Playlist(request.names, request.order)
        show = Presentation(clips, playlist, make_gray_clip(request.gray_s))
        loop = _ScreenLoop(window, show, (link, log), notify)
        stack.enter_context(call_on_signals(loop.stop))
        loop.expected_refresh_hz = request.expected_refresh_hz
        loop.run(playlist)
        notify(loop.describe_result())
        notify(link.describe_result())
        if log.failure:
            notify(log.failure)
    del app


class _Link:
    """The connection to the daemon; without one, nothing is sent or received."""

    def __init__(self, daemon: DaemonLink | None, notify: Notify) -> None:
        self._notify = notify
        self._stack = ExitStack()
        self._sender: AuxiliarySender | None = None
        self._events: Subscriber | None = None
        if daemon is not None:
            self._connect(daemon)

    def __enter__(self) -> _Link:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send_picture(self, shown: ScreenPicture, shown_s: float) -> None:
        """Send a picture that appeared at `shown_s` by time.time()."""
        if self._sender is None:
            return
        image = shown.encoder_picture
        self._sender.send(
            messages.StimulusFrame,
            image,
            clip=shown.clip.name,
            index=shown.index,
            t_send=shown_s,
            shape=(image.shape[0], image.shape[1]),
        )

    def obey_events(self, playlist: Playlist) -> None:
        """Pass the clips that the daemon asks for to the playlist; never waits."""
        if self._events is None:
            return
        for message, _ in self._events.receive_pending():
            if not isinstance(message, messages.Event) or message.name != NEXT_CLIP:
                continue
            if playlist.request(message.clip):
                self._notify(f"the daemon asks for clip '{message.clip}' next")
            else:
                self._notify(
                    f"the daemon asks for clip '{message.clip}', but none of the "
                    "clips has this name; the order stays"
                )

    def describe_result(self) -> str:
        """Return how many messages were sent and lost."""
        if self._sender is None:
            return "nothing was sent: the clips were shown without a daemon"
        sentence = f"{self._sender.n_sent} pictures sent to the daemon"
        if self._sender.n_dropped:
            sentence += f", {self._sender.n_dropped} lost: it ended, or was too slow"
        return sentence

    def _connect(self, daemon: DaemonLink) -> None:
        sender = AuxiliarySender(daemon.frames, daemon.keys)
        self._stack.callback(sender.close)
        if not sender.wait_for_daemon(_DAEMON_TIMEOUT_S):
            sentence = sender.explain_missing_daemon()
            self._stack.close()
            raise PresenterError(
                f"{sentence}, or show the clips without it: --without-daemon"
            )
        self._sender = sender
        self._events = Subscriber(daemon.publish, daemon.keys, ["event"])
        self._stack.callback(self._events.close)


class _ScreenLoop:
    """Draws, waits for the flip, sends; once for each refresh of the screen."""

    def __init__(
        self,
        window: ScreenWindow,
        show: Presentation,
        outputs: tuple[_Link, FlipLog],
        notify: Notify,
    ) -> None:
        self.expected_refresh_hz: float | None = None
        self._window, self._show, self._notify = window, show, notify
        self._link, self._log = outputs
        self._refresh = RefreshMonitor(window.nominal_refresh_hz)
        self._loop = QEventLoop()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setSingleShot(True)
        self._missed: Counter[str] = Counter()  # screen frames by clip, not reported

    def run(self, playlist: Playlist) -> None:
        """Show everything; returns after the last gray picture or a stop."""
        self._playlist = playlist
        self._timer.timeout.connect(self._show_next)
        self._timer.start(0)
        self._loop.exec()
        self._timer.stop()

    def stop(self) -> None:
        """End as soon as the present picture is shown."""
        self._window.is_closed = True

    def describe_result(self) -> str:
        """Return what was shown, and how many screen frames were dropped."""
        refresh = self._refresh
        shown = f"{self._show.n_clips} clips shown"
        if not refresh.n_dropped:
            return f"{shown} in {refresh.n_flips} screen frames, none dropped"
        return (
            f"{shown} in {refresh.n_flips} screen frames; {refresh.n_dropped} screen "
            f"frames were dropped, {self._show.n_skipped} pictures never appeared: "
            "close other programs on this computer"
        )

    def _report_missed(self) -> None:
        """Report the dropped screen frames of the clip that has just ended."""
        for name, n_missed in self._missed.items():
            if n_missed:
                self._notify(f"{name}: {n_missed} screen frames were dropped")
        self._missed.clear()

    def _show_next(self) -> None:
        window, refresh = self._window, self._refresh
        if window.is_closed:
            self._loop.quit()
            return
        self._link.obey_events(self._playlist)
        now_s = time.perf_counter()
        chosen = self._show.choose_picture(refresh.predict_next_flip_s(now_s))
        if chosen is None:
            self._loop.quit()
            return
        flip_s, wall_s = window.show_picture(chosen.picture, chosen.is_patch_bright)
        had_sync = refresh.has_sync
        n_missed = refresh.add_flip(flip_s)
        if had_sync is None and refresh.has_sync is not None:
            self._notify(_describe_screen(window, refresh))
            if notice := refresh.describe_difference(self.expected_refresh_hz):
                self._notify(notice)
        self._missed[chosen.clip.name] += n_missed
        if self._show.record_flip(chosen, flip_s):
            if chosen.index == 0:
                self._report_missed()
            self._link.send_picture(chosen, wall_s)
            self._log.add_picture(chosen, wall_s)
        pause_s = refresh.compute_pause_s(time.perf_counter())
        self._timer.start(int(1000 * pause_s))


def _describe_screen(window: ScreenWindow, refresh: RefreshMonitor) -> str:
    size = window.size() * window.devicePixelRatio()
    sentence = f"screen: {size.width()} x {size.height()} pixels"
    if window.has_flips and refresh.has_sync:
        return f"{sentence} at {refresh.rate_hz:.2f} Hz, measured"
    reason = (
        "its driver does not wait for refreshes (vertical synchronization is off)"
        if window.has_flips
        else "it is drawn without OpenGL"
    )
    return (
        f"{sentence} at {refresh.rate_hz:.0f} Hz; {reason}, so the times are those of "
        "drawing, and the screen may change up to a refresh later: use a photodiode"
    )
