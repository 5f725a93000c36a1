"""The window, drawn without a screen: its texts and pictures in each state."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from rtrecon.display.layout import DEFAULT_SIZE
from rtrecon.display.panels.activity import ActivityPanel
from rtrecon.display.panels.quality import QualityPanel
from rtrecon.display.window import Window
from rtrecon.protocol import messages
from tests.support.display_window import (
    SECONDS,
    SKIP_WITHOUT_QT,
    START_S,
    compute_mean_gray,
    list_experiment_messages,
    open_windows,
    read_middle_gray,
    send_health,
    show_experiment,
)

pytestmark = SKIP_WITHOUT_QT
# skill of the decoding (None = no message), s of silence, headline, word
STATES = {
    "good": (0.85, 0.0, "", "GOOD"),
    "fair": (0.5, 0.0, "", "FAIR"),
    "poor": (0.05, 0.0, "", "POOR"),
    "waiting": (None, 0.0, "Waiting for the daemon", "NO DATA"),
    "gone": (0.85, 7.0, "No message from the daemon for 7 s", "NO DATA"),
}
CONDITIONS = {
    "no-go": "the stored field is not in today's image (r = 0.04): another field",
    "frames lost": "72 frames (9.1%) were lost before the sender within 71 s",
    "pupil gone": "no pupil size for <50> s: does the program of the eye camera run?",
}


@pytest.fixture
def window_for(qtbot: QtBot) -> Iterator[Callable[..., Window]]:
    """A function that opens a window with these options, without a daemon."""
    with open_windows(qtbot) as open_window:
        yield open_window


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


def find_text_rows(window: Window, notice: str) -> np.ndarray:
    """Return the rows of the picture in which a notice has been written."""
    picture = window.movie.picture
    picture.draw(None, notice)
    image = picture.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
    return np.flatnonzero((rows[:, : image.width()] > 100).any(1)) / image.height()


def test_a_notice_of_many_lines_is_seen_whole(window_for):
    window = window_for()
    short = find_text_rows(window, "Calibrating\none line")
    long = find_text_rows(window, "Calibrating" + 9 * "\na line of a notice")
    assert short.min() > 0.4
    assert long.min() < short.min()
    n_written = len(np.flatnonzero(np.diff(long) > 0.005))
    assert n_written >= 9  # gaps between the headline and nine lines


def test_figures_of_a_silent_daemon_are_removed_and_panels_dimmed(window_for):
    window = show_experiment(window_for(), skill=0.85)
    values = window.health_line.findChildren(QLabel, "value")
    assert [value.text() for value in values][:2] == ["30.0", "4.2 / 7.9 ms"]
    live = window.panel(ActivityPanel).grab().toImage()
    window.draw(START_S + SECONDS + 7)
    assert {value.text() for value in values} == {"–"}
    assert compute_mean_gray(
        window.panel(ActivityPanel).grab().toImage()
    ) < 0.8 * compute_mean_gray(live)
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
    assert read_middle_gray(window.movie.picture.grab().toImage()) == 200
    window.movie.picture.draw(np.full((36, 64), 20, np.uint8), "silent")
    assert read_middle_gray(window.movie.picture.grab().toImage()) != 20


def test_movie_and_stimulus_have_the_same_size_and_the_same_moment(window_for):
    window = show_experiment(window_for(), skill=1.0)
    movie, stimulus = window.movie.picture, window.stimulus.picture
    assert movie.size() == stimulus.size()
    correlation = np.corrcoef(movie.pixels.ravel(), stimulus.pixels.ravel())[0, 1]
    assert correlation > 0.8


def test_an_unknown_stimulus_is_reported(window_for):
    window = window_for()
    for t_s, message, payload in list_experiment_messages(0.85):
        if not isinstance(message, messages.AlignedStimulus):
            window.state.update(message, payload, START_S + t_s)
    window.draw(START_S + SECONDS)
    assert window.stimulus.note.text() == "not known"
    assert window.stimulus.picture.pixels is None


def test_a_banner_shows_what_is_wrong_until_it_is_over(window_for):
    window = show_experiment(window_for(), 0.85)
    assert window.banner.isHidden()
    send_health(window, START_S + SECONDS, conditions=CONDITIONS)
    assert window.banner.isVisible()
    text = window.banner.text()
    for name, sentence in CONDITIONS.items():
        assert name.upper() in text
        assert html.escape(sentence) in text
    assert compute_mean_gray(window.grab(window.banner.geometry()).toImage()) > 80
    send_health(window, START_S + SECONDS + 1)
    assert window.banner.isHidden()


def test_without_an_encoder_the_stimulus_and_the_recording_are_shown(window_for):
    window = window_for()
    for t_s, message, payload in list_experiment_messages(0.85):
        if isinstance(message, messages.Activity | messages.AlignedStimulus):
            window.state.update(message, payload, START_S + t_s)
    send_health(window, START_S + SECONDS, has_inverter=False, disk_free_gb=100.0)
    assert window.movie.picture.notice == (
        "Recording, without an encoder\n"
        "0.1 min, 900 neurons\n1 clip, no pupil, no running"
    )
    assert window.stimulus.picture.pixels is not None
