"""A session's report: everything in one file, and its clips are well chosen."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

from rtrecon.analysis.report import write_report
from rtrecon.analysis.report.plots import plot_latencies
from rtrecon.analysis.report.scenes import (
    SCENE_S,
    find_best_and_worst,
    map_recovered_variance,
)
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.tables import ActivityRow
from rtrecon.sources.video import read_clip
from tests.support import recorded_session as world
from tests.support import session_tables
from tests.support.command_line import run_here

SCENE_FRAMES = round(SCENE_S * world.RATE_HZ)


class Page(HTMLParser):
    """What a browser would load from elsewhere, and what it would show."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    return Session(world.record_session(tmp_path_factory.mktemp("recordings")))


@pytest.fixture(scope="module")
def blind(tmp_path_factory) -> Session:
    """The same, without a recorded stimulus."""
    folder = tmp_path_factory.mktemp("blind")
    return Session(world.record_session(folder, stimulus=False))


@pytest.fixture(scope="module")
def page(session) -> Page:
    return Page(write_report(session.path))


# -- the file ------------------------------------------------------------------------


def test_the_report_needs_no_other_file_and_no_script(page):
    assert all(source.startswith("data:") for source in page.sources)
    assert "script" not in page.tags
    assert "link" not in page.tags


def test_the_report_is_written_into_the_session_folder(session, page):
    assert (session.path / "report.html").is_file()
    assert not list(session.path.glob("*partial*"))


def test_the_report_states_quality_losses_and_subject(page):
    said = " ".join(page.words.split())
    for sentence in (
        "where the neurons look (null 0.03, mean frame 0.12), r = 0.",
        "on the whole screen",
        "r = 0.24 (null 0.02)",
        "identified, 1 of 20",
        "3 neurons",
        "Last, First",
        "light leak",
        "eyes closed",
        "0.5 s of the movie have no supporting activity",
    ):
        assert sentence in said


def test_the_report_contains_three_drawn_plots(page):
    drawn = [s for s in page.sources if s.startswith("data:image/svg+xml")]
    svg = [base64.b64decode(source.partition(",")[2]).decode() for source in drawn]
    assert len(svg) == 3
    assert all(len(re.findall("<path", one)) > 20 for one in svg)


def test_rule_latencies_are_plotted_by_the_kind_of_rule(session):
    titles = {
        axes.get_xlabel(): axes.get_title() for axes in plot_latencies(session).axes
    }
    for what, rule in (("activity", "loud"), ("movie", "grating seen")):
        title = titles[f"frame to event, {what} rules, ms"]
        (median_ms,) = re.findall(r"p50 ([\d.]+)", title)
        assert float(median_ms) == pytest.approx(1500 * world.REACTION_S[rule], rel=0.1)


def test_the_movies_in_the_report_can_be_decoded(page, tmp_path):
    movies = [s for s in page.sources if s.startswith("data:video/mp4")]
    assert len(movies) == 2
    for number, source in enumerate(movies):
        file = tmp_path / f"{number}.mp4"
        file.write_bytes(base64.b64decode(source.partition(",")[2]))
        assert len(read_clip(file)) == SCENE_FRAMES


# -- what is chosen ------------------------------------------------------------------


def test_the_best_scene_is_where_the_movie_equals_the_stimulus(session):
    best, worst = find_best_and_worst(session)
    assert best.r == pytest.approx(1.0)
    assert np.array_equal(best.movie, best.stimulus)
    assert worst.r < 0.5
    first = round(best.start_s * world.RATE_HZ)
    assert np.array_equal(
        best.stimulus, world.make_stimulus()[first : first + SCENE_FRAMES]
    )


def test_without_a_stimulus_held_out_neurons_choose_the_scenes(blind):
    best, worst = find_best_and_worst(blind)
    assert best.stimulus is worst.stimulus is None
    assert best.start_s < worst.start_s
    assert best.r > worst.r


def test_the_recovered_map_is_the_explained_share_of_variance(session):
    settled = (*np.unique(Session(session.path).read_final_movie()[0]),)
    shown = world.make_stimulus()[list(settled)].astype(float)
    made = world.make_movie()[list(settled)].astype(float)
    expected = 1 - ((made - shown) ** 2).mean(0) / shown.var(0)
    assert map_recovered_variance(session) == pytest.approx(np.clip(expected, 0, 1))


# -- sessions that lack something ----------------------------------------------------


def test_the_report_of_a_session_without_stimulus_says_so(blind, tmp_path):
    page = Page(write_report(blind.path, tmp_path / "a.html"))
    assert "Held-out neurons correlate" in page.words
    assert "correlates with the stimulus" not in page.words
    assert "No stimulus was recorded." in page.words
    assert page.tags.count("video") == 2


def test_the_report_of_a_session_without_an_encoder_shows_what_was_recorded(tmp_path):
    recorder = Recorder(tmp_path, session_tables.make_about())
    for i in range(90):
        recorder.add_frame(
            session_tables.make_frame_row(i), session_tables.make_traces(i)
        )
        row = ActivityRow(i, i, pupil_dilation=40.0 if i < 45 else np.nan)
        recorder.add_activity(row, np.zeros(session_tables.N_NEURON, np.float32))
        stimulus = session_tables.make_stimulus(i)
        recorder.add_stimulus(i, stimulus, "bars" if i // 30 == 1 else "noise")
    recorder.close()
    page = Page(write_report(recorder.path))
    assert "recorded without an encoder: there is no movie" in page.words
    assert "Stimulus: 3.0 s, 3 clips (2 different)." in page.words
    assert "pupil in 50% of the encoder frames, no running" in page.words
    assert "stimulus not known" not in page.words
    assert "Quality" not in page.words


def test_the_report_says_how_an_encoder_was_trained_in_the_session(tmp_path):
    path = world.record_session(tmp_path)
    progress = messages.Calibration(
        session="s",
        seq=0,
        t=0.0,
        stage="gathering",
        minutes=4.25,
        n_neurons=100,
        n_responsive=60,
        response_r=0.25,
        ceiling_share=0.5,
        movie_r=0.4,
        null_movie_r=0.02,
        n_encoders=2,
    )
    (path / "calibration.jsonl").write_bytes(msgspec.json.encode(progress) + b"\n")
    words = Page(write_report(path)).words
    assert "Calibration: 4.2 min of activity with a known stimulus." in words
    assert "60 of 100 neurons respond; on clips that training did not see" in words
    assert "r = 0.25, 50% of what noise allows" in words
    assert "2 encoders were handed to the inverter, and the first live movie" in words


def test_a_session_without_frames_has_a_report(tmp_path):
    recorder = Recorder(tmp_path, session_tables.make_about())
    recorder.close()
    page = Page(write_report(recorder.path))
    assert "do not show how good" in page.words
    assert "video" not in page.tags


def test_text_from_a_session_is_escaped(tmp_path):
    meta = {"source": "<script>alert(1)</script>"}
    path = world.record_session(tmp_path, stimulus=False, has_movie=False, meta=meta)
    page = Page(write_report(path))
    assert "script" not in page.tags
    assert "alert(1)" in page.words


@pytest.fixture
def empty(tmp_path) -> Path:
    """A session without frames."""
    recorder = Recorder(tmp_path, session_tables.make_about())
    recorder.close()
    return recorder.path


def test_an_unwritable_report_path_is_an_error_sentence(empty, tmp_path):
    with pytest.raises(UserError, match=r"a\.html cannot be written"):
        write_report(empty, tmp_path / "nowhere" / "a.html")


def test_the_report_command_writes_to_the_given_path(empty, tmp_path):
    done = run_here("report", empty, "--out", tmp_path / "a.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.html").is_file()
