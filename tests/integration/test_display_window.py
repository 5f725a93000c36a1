"""The window, drawn without a screen: its texts in each state, and its keys."""

from __future__ import annotations

import html
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from PySide6.QtCore import QPoint, QSettings, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QLabel, QSplitter
from pytestqt.qtbot import QtBot

from rtrecon.display import DisplayOptions
from rtrecon.display.application import find_pyside_problem
from rtrecon.display.client import DisplayClient, RequestSocket
from rtrecon.display.layout import DEFAULT_SIZE
from rtrecon.display.panels.activity import ActivityPanel
from rtrecon.display.panels.field import FieldPanel
from rtrecon.display.panels.quality import QualityPanel
from rtrecon.display.panels.registry import PANELS
from rtrecon.display.view import View
from rtrecon.display.window import Window
from rtrecon.protocol import messages
from rtrecon.testing.display_messages import SimulatedExperiment, TimedMessage
from rtrecon.testing.waiting import wait_until

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytestmark = pytest.mark.skipif(
    bool(find_pyside_problem()), reason=find_pyside_problem()
)

NO_DAEMON = "tcp://127.0.0.1:9"
START_S = 500.0
SECONDS = 6.0
KEY_NAMES = (
    "Space",
    "← →",
    "Page ↑ ↓",
    "↑ ↓",
    "L",
    "T",
    "+ -",
    "R R",
    "S",
    "C",
    "O",
    "P",
    "M",
    "F",
    "?",
    "Esc",
)

# skill of the decoding (None = no message), s of silence, headline, word
STATES = {
    "good": (0.85, 0.0, "", "GOOD"),
    "fair": (0.5, 0.0, "", "FAIR"),
    "poor": (0.05, 0.0, "", "POOR"),
    "waiting": (None, 0.0, "Waiting for the daemon", "NO DATA"),
    "gone": (0.85, 7.0, "No message from the daemon for 7 s", "NO DATA"),
}


@pytest.fixture
def window_for(qtbot: QtBot) -> Iterator[Callable[..., Window]]:
    """A function that opens a window with these options, without a daemon."""
    windows = []  # Python must not delete a window while Qt still paints it
    with zmq.Context() as context, ExitStack() as sockets:

        def open_window(
            publish: str = NO_DAEMON, control: str = NO_DAEMON, **options
        ) -> Window:
            client = sockets.enter_context(
                closing(DisplayClient(context, (publish, control)))
            )
            window = Window(DisplayOptions(publish, control, **options), client)
            qtbot.addWidget(window)
            window.show()
            windows.append(window)
            return window

        yield open_window
        for window in windows:
            window.close()


@cache
def experiment_messages(skill: float) -> list[TimedMessage]:
    """All messages of an experiment with this skill of the decoding."""
    return list(SimulatedExperiment(skill=skill, seconds=SECONDS).generate_messages())


def show_experiment(
    window: Window, skill: float | None, silent_s: float = 0.0
) -> Window:
    """The window after an experiment, and then silence."""
    if skill is not None:
        for t_s, message, payload in experiment_messages(skill):
            window.state.update(message, payload, START_S + t_s)
    window.draw(START_S + SECONDS + silent_s)
    return window


def middle_gray(picture: QImage) -> int:
    return picture.pixelColor(picture.width() // 2, picture.height() // 2).red()


def mean_gray(picture: QImage) -> float:
    """Mean of all pixels, 0..255."""
    gray = picture.convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(gray.constBits(), np.uint8).reshape(gray.height(), -1)
    return float(rows[:, : gray.width()].mean())


@pytest.mark.parametrize(
    ("skill", "silent_s", "notice", "word"), STATES.values(), ids=STATES
)
def test_each_state_has_its_headline_and_its_word(
    window_for, skill, silent_s, notice, word
):
    window = show_experiment(window_for(), skill, silent_s)
    assert window.movie.picture.notice.split("\n")[0] == notice
    assert window.panel(QualityPanel).word.text() == word
    assert (window.stimulus.picture.pixels is None) == bool(notice)


def test_figures_of_a_silent_daemon_are_removed_and_panels_dimmed(window_for):
    window = show_experiment(window_for(), skill=0.85)
    values = window.health_line.findChildren(QLabel, "value")
    assert [value.text() for value in values][:2] == ["30.0", "4.2 / 7.9 ms"]
    live = window.panel(ActivityPanel).grab().toImage()
    window.draw(START_S + SECONDS + 7)
    assert {value.text() for value in values} == {"–"}
    assert mean_gray(window.panel(ActivityPanel).grab().toImage()) < 0.8 * mean_gray(
        live
    )
    window.draw(START_S + SECONDS)
    assert window.panel(ActivityPanel).grab().toImage() == live


@pytest.mark.parametrize("skill", [None, 0.85])
def test_all_text_fits_into_the_window(window_for, qapp, skill):
    window = show_experiment(window_for(), skill)
    window.notify("A very long sentence about what has just happened. " * 20)
    qapp.processEvents()
    assert (window.width(), window.height()) == DEFAULT_SIZE
    for label in window.findChildren(QLabel):
        fits = label.sizeHint().width() <= label.width() or label.wordWrap()
        assert fits or label is window.sentence, label.text()
    assert window.sentence.text().endswith("…")


def test_gray_levels_are_shown_as_they_were_sent(window_for):
    window = window_for()
    window.movie.picture.draw(np.full((36, 64), 200, np.uint8))
    assert middle_gray(window.movie.picture.grab().toImage()) == 200
    window.movie.picture.draw(np.full((36, 64), 20, np.uint8), "silent")
    assert middle_gray(window.movie.picture.grab().toImage()) != 20


def test_movie_and_stimulus_have_the_same_size_and_the_same_moment(window_for):
    window = show_experiment(window_for(), skill=1.0)
    movie, stimulus = window.movie.picture, window.stimulus.picture
    assert movie.size() == stimulus.size()
    alike = np.corrcoef(movie.pixels.ravel(), stimulus.pixels.ravel())[0, 1]
    assert alike > 0.8


def test_an_unknown_stimulus_is_reported(window_for):
    window = window_for()
    for t_s, message, payload in experiment_messages(0.85):
        if not isinstance(message, messages.AlignedStimulus):
            window.state.update(message, payload, START_S + t_s)
    window.draw(START_S + SECONDS)
    assert window.stimulus.note.text() == "not known"
    assert window.stimulus.picture.pixels is None


def test_keys_choose_between_newest_and_final_frames(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    notes = []
    for key in (Qt.Key.Key_L, Qt.Key.Key_Down, Qt.Key.Key_L):
        notes.append(window.movie.note.text())
        qtbot.keyClick(window, key)
        window.draw(START_S + SECONDS)
    assert [note.split(", ")[0] for note in notes] == ["final", *["PROVISIONAL"] * 2]
    ages_s = [float(note.split()[-3]) for note in notes]
    assert ages_s[0] > ages_s[2] > ages_s[1]
    assert window.movie.note.text().startswith("final")


def test_what_the_data_do_not_constrain_can_be_made_transparent(
    window_for, qtbot: QtBot
):
    window = show_experiment(window_for(), skill=0.85)
    whole = window.movie.picture.grab().toImage()
    qtbot.keyClick(window, Qt.Key.Key_T)
    window.draw(START_S + SECONDS)
    faded = window.movie.picture.grab().toImage()
    corner, middle = (60, 60), (whole.width() // 2, whole.height() // 2)
    assert is_gray(whole.pixelColor(*corner))
    assert not is_gray(faded.pixelColor(*corner))
    assert is_gray(faded.pixelColor(*middle))
    assert "hatched: unconstrained" in window.movie.note.text()


def test_frames_without_activity_are_marked_as_extrapolated(window_for, qtbot: QtBot):
    window = window_for()
    for t_s, message, payload in experiment_messages(0.85):
        lost = message
        if isinstance(message, messages.Movie):
            lost = msgspec.structs.replace(
                message, information_fraction=[0.0] * len(payload)
            )
        window.state.update(lost, payload, START_S + t_s)
    window.draw(START_S + SECONDS)
    assert window.movie.note.text().startswith("EXTRAPOLATED, final")
    qtbot.keyClick(window, Qt.Key.Key_T)
    window.draw(START_S + SECONDS)
    faded = window.movie.picture.grab().toImage()
    assert not is_gray(faded.pixelColor(faded.width() // 2, faded.height() // 2))


def is_gray(color: QColor) -> bool:
    return max(color.red(), color.green(), color.blue()) - color.red() < 8


def test_the_contrast_of_the_reconstruction_can_be_changed(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    before = window.movie.picture.grab().toImage()
    qtbot.keyClick(window, Qt.Key.Key_Minus)
    window.draw(START_S + SECONDS)
    after = window.movie.picture.grab().toImage()
    for picture in (before, after):
        assert middle_gray(picture) > 0
    assert spread(after) < 0.8 * spread(before)
    assert window.movie.note.text().endswith("contrast x 0.7")


def spread(picture: QImage) -> float:
    columns = range(20, picture.width() - 20, 20)
    return float(np.std([picture.pixelColor(x, 150).red() for x in columns]))


def test_a_paused_movie_stands_still_and_can_be_moved_through_time(
    window_for, qtbot: QtBot
):
    window = show_experiment(window_for(), skill=0.85)
    live = window.movie.picture.pixels
    qtbot.keyClick(window, Qt.Key.Key_Space)
    window.draw(START_S + SECONDS + 30)  # the daemon is gone by now
    assert window.movie.picture.pixels is live
    assert window.movie.picture.notice == ""
    assert window.movie.note.text().startswith("PAUSED, final")
    assert "the last 6 s are stored (1 MB)" in window.sentence.toolTip()
    for key, moved in ((Qt.Key.Key_Left, -30), (Qt.Key.Key_Right, 0)):
        at = window.view.paused_index
        qtbot.keyClick(window, key)
        assert window.view.paused_index in (at - 30, at + 30)
        window.draw(START_S + SECONDS + 30)
        assert (window.movie.picture.pixels is live) == (moved == 0)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    window.draw(START_S + SECONDS + 30)
    assert window.movie.picture.notice.startswith("No message from the daemon for 30 s")


def test_a_click_on_the_timeline_pauses_there(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    timeline = window.timeline
    for x, index in (
        (14, 59),
        (timeline.width() - 14, 179),
        (timeline.width() // 2, 92),
    ):
        qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=QPoint(x, 30))
        assert window.view.paused_index == pytest.approx(index, abs=1)
        window.draw(START_S + SECONDS)


def test_the_activity_rows_are_sorted_by_a_key(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    pictures, notes = [], []
    for _ in range(4):
        pictures.append(window.panel(ActivityPanel).grab().toImage())
        notes.append(window.panel(ActivityPanel).note.text())
        qtbot.keyClick(window, Qt.Key.Key_O)
        window.draw(START_S + SECONDS)
    assert notes[1:3] == ["most active on top", "similar together"]
    assert pictures[3] == pictures[0]
    assert pictures[1] != pictures[0] != pictures[2] != pictures[1]


def test_a_key_shows_the_next_plane(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    deeper = messages.FieldImage(
        session="session-1",
        seq=0,
        t=0.0,
        frame=9,
        shape=(2, 2),
        shift_px=(0.0, 0.0),
        confidence=0.5,
        plane=3,
    )
    window.state.update(deeper, np.full((2, 2), 9, np.uint8), START_S + SECONDS)
    notes = []
    for _ in range(3):
        window.draw(START_S + SECONDS)
        notes.append(window.panel(FieldPanel).note.text())
        qtbot.keyClick(window, Qt.Key.Key_P)
    first, other = "plane 1 of 2, match 0.83", "plane 4 of 2, match 0.50"
    assert notes == [first, other, first]


def test_the_window_shows_every_panel_of_the_registry(window_for):
    window = window_for()
    assert [type(panel) for panel in window.panels] == list(PANELS)
    keys = [binding.key for binding in window._bindings]
    assert len(keys) == len(set(keys))


def test_the_help_lists_every_key(window_for, qtbot: QtBot):
    window = window_for()
    assert window.help.isHidden()
    qtbot.keyClick(window, Qt.Key.Key_Question)
    assert window.help.isVisible()
    assert window.rect().contains(window.help.geometry())
    for name in KEY_NAMES:
        assert f"<b>{name}</b>" in window.help.text()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.help.isHidden()


def test_pictures_and_clips_are_saved_by_keys(window_for, qtbot, tmp_path: Path):
    window = show_experiment(window_for(folder=tmp_path), skill=0.85)
    qtbot.keyClick(window, Qt.Key.Key_S)
    assert window.sentence.toolTip().startswith("Picture saved")
    qtbot.keyClick(window, Qt.Key.Key_C)

    def saved() -> bool:
        window.receive(START_S + SECONDS)
        return window.sentence.toolTip().startswith("Clip saved")

    wait_until(saved)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".mp4", ".png"]


# -- requests to the daemon ----------------------------------------------------------


@pytest.fixture
def control() -> Iterator[zmq.Socket]:
    """A daemon's control socket, on a free port."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as daemon:
        daemon.linger = 0
        daemon.rcvtimeo = 30_000
        daemon.bind("tcp://127.0.0.1:0")
        yield daemon


def wait_for_connection(daemon: zmq.Socket, requests: RequestSocket) -> None:
    """Wait until requests reach the daemon."""
    while not requests.send_request("status"):
        time.sleep(0.01)
    daemon.recv_multipart()


def test_a_note_reaches_the_daemon(window_for, qtbot: QtBot, control: zmq.Socket):
    window = window_for(control=control.getsockopt_string(zmq.LAST_ENDPOINT))
    wait_for_connection(control, window._client.requests)
    qtbot.keyClick(window, Qt.Key.Key_M)
    assert window.note.isVisible()
    qtbot.keyClicks(window.note, "grating 90 deg? L T")
    qtbot.keyClick(window.note, Qt.Key.Key_Return)
    *route, request = control.recv_multipart()
    assert json.loads(request) == {"op": "mark", "note": "grating 90 deg? L T"}
    assert window.note.isHidden()
    assert window.view == View()  # letters of a note are no keys
    control.send_multipart([*route, b'{"ok": true, "sentence": "noted"}'])

    def answered() -> bool:
        window.receive(START_S)
        return window.sentence.text() == "noted"

    wait_until(answered)


def test_a_new_reference_is_requested_by_pressing_r_twice(
    window_for, qtbot: QtBot, control: zmq.Socket
):
    window = window_for(control=control.getsockopt_string(zmq.LAST_ENDPOINT))
    wait_for_connection(control, window._client.requests)
    qtbot.keyClick(window, Qt.Key.Key_R)
    assert window.sentence.toolTip().startswith("Press R again within 3 s")
    qtbot.keyClick(window, Qt.Key.Key_R)
    *_, request = control.recv_multipart()
    assert json.loads(request) == {"op": "reference"}


def test_a_note_can_be_discarded(window_for, qtbot: QtBot):
    window = window_for()
    qtbot.keyClick(window, Qt.Key.Key_M)
    qtbot.keyClick(window.note, Qt.Key.Key_Escape)
    assert window.note.isHidden()
    assert window.sentence.text() == ""


def test_a_note_that_no_daemon_receives_is_reported(window_for, qtbot: QtBot):
    window = window_for()
    qtbot.keyClick(window, Qt.Key.Key_M)
    qtbot.keyClick(window.note, Qt.Key.Key_Return)
    assert "note not sent: the daemon does not answer" in window.sentence.text()


def test_neurons_are_outlined_on_the_field(window_for, control: zmq.Socket):
    window = window_for(control=control.getsockopt_string(zmq.LAST_ENDPOINT))
    wait_for_connection(control, window._client.mask_requests)
    plain = (
        show_experiment(window, skill=0.85).panel(FieldPanel).picture.grab().toImage()
    )
    window.receive(START_S + SECONDS)
    *route, request = control.recv_multipart()
    assert json.loads(request) == {"op": "masks"}
    labels = np.zeros((1, 64, 64), "<u4")
    labels[0, 20:40, 20:40] = 1
    answer = b'{"ok": true, "sentence": "1 neuron", "masks": [1, 64, 64]}'
    control.send_multipart([*route, answer, labels.tobytes()])

    def outlined() -> bool:
        window.receive(START_S + SECONDS)
        window.draw(START_S + SECONDS)
        return window.panel(FieldPanel).picture.grab().toImage() != plain

    wait_until(outlined)


# -- what is saved -------------------------------------------------------------------


def test_the_layout_is_remembered_if_asked_for(window_for, tmp_path: Path):
    form, scope = QSettings.Format.IniFormat, QSettings.Scope.UserScope
    QSettings.setPath(form, scope, str(tmp_path))
    one = window_for(remember_layout=True)
    default = upper_share(one)
    one.findChild(QSplitter, "rows").setSizes([450, 350])
    one.resize(DEFAULT_SIZE[0] - 100, DEFAULT_SIZE[1] - 100)
    assert upper_share(one) < default - 0.02
    one.close()
    again, other = window_for(remember_layout=True), window_for()
    assert upper_share(again) == pytest.approx(upper_share(one), abs=0.01)
    assert upper_share(other) == pytest.approx(default, abs=0.01)


def upper_share(window: Window) -> float:
    sizes = window.findChild(QSplitter, "rows").sizes()
    return float(sizes[0] / sum(sizes))


def test_received_messages_are_drawn_and_invalid_ones_reported(
    window_for, free_address
):
    address = free_address()
    field = messages.FieldImage(
        session="s", seq=0, t=0.0, frame=0, shape=(2, 2), shift_px=(0, 0), confidence=1
    )
    with zmq.Context() as context, context.socket(zmq.PUB) as daemon:
        daemon.linger = 0
        daemon.bind(address)
        window = window_for(address)

        def is_drawn() -> bool:
            daemon.send_multipart(messages.encode_published(field, b"1234"))
            daemon.send_multipart([b"field", b"{}", b""])
            window.receive(START_S)
            window.draw(START_S)
            return window.panel(FieldPanel).picture.pixels is not None

        wait_until(is_drawn)
        wait_until(lambda: is_drawn() and bool(window.sentence.toolTip()))
    assert window.sentence.toolTip().startswith("Invalid message ignored: ")


def test_the_snapshot_shows_the_window_and_leaves_no_other_file(
    window_for, tmp_path: Path
):
    path = tmp_path / "folder" / "live.png"
    window = show_experiment(window_for(snapshot=path), skill=0.85)
    window.save_snapshot()
    picture = QImage(str(path))
    assert (picture.width(), picture.height()) == DEFAULT_SIZE
    assert [file.name for file in path.parent.iterdir()] == ["live.png"]


def test_a_snapshot_that_cannot_be_written_is_reported(window_for, tmp_path: Path):
    (tmp_path / "file").touch()
    window = window_for(snapshot=tmp_path / "file" / "live.png")
    window.save_snapshot()
    assert "cannot be written" in window.sentence.toolTip()


CONDITIONS = {
    "no-go": "the stored field is not in today's image (r = 0.04): another field",
    "frames lost": "72 frames (9.1%) were lost before the sender within 71 s",
    "pupil gone": "no pupil size for <50> s: does the program of the eye camera run?",
}


def send_health(window: Window, t_s: float, **fields: object) -> None:
    """Give the window the daemon's health at this time."""
    health = messages.Health(
        session="session-1", seq=9, t=0.0, process="daemon", state="running", **fields
    )
    window.state.update(health, np.empty(0), t_s)
    window.draw(t_s)


def test_what_is_wrong_stands_over_the_window_until_it_is_over(window_for):
    window = show_experiment(window_for(), 0.85)
    assert window.banner.isHidden()
    send_health(window, START_S + SECONDS, conditions=CONDITIONS)
    assert window.banner.isVisible()
    text = window.banner.text()
    for name, sentence in CONDITIONS.items():
        assert name.upper() in text
        assert html.escape(sentence) in text
    assert mean_gray(window.grab(window.banner.geometry()).toImage()) > 80
    send_health(window, START_S + SECONDS + 1)
    assert window.banner.isHidden()


def test_without_an_encoder_the_stimulus_and_the_recording_are_shown(window_for):
    window = window_for()
    for t_s, message, payload in experiment_messages(0.85):
        if isinstance(message, messages.Activity | messages.AlignedStimulus):
            window.state.update(message, payload, START_S + t_s)
    send_health(window, START_S + SECONDS, has_inverter=False, disk_free_gb=100.0)
    assert window.movie.picture.notice == (
        "Recording, without an encoder\n"
        "0.1 min, 900 neurons\n1 clip, no pupil, no running"
    )
    assert window.stimulus.picture.pixels is not None
