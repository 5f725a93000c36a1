"""A session's report: everything in one file, and its clips are well chosen."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from rtrecon.analysis.report import write_report
from rtrecon.analysis.report.plots import latencies
from rtrecon.analysis.report.scenes import SCENE_S, best_and_worst, recovered
from rtrecon.core.errors import UserError
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.sources.video import read_clip
from rtrecon.testing.daemon_process import rtrecon
from tests.support import recorded_session as world

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
    return Session(world.recorded(tmp_path_factory.mktemp("recordings")))


@pytest.fixture(scope="module")
def blind(tmp_path_factory) -> Session:
    """The same, of a stimulus that nobody told."""
    folder = tmp_path_factory.mktemp("blind")
    return Session(world.recorded(folder, stimulus=False))


@pytest.fixture(scope="module")
def page(session) -> Page:
    return Page(write_report(session.path))


# -- the file ------------------------------------------------------------------------


def test_it_needs_nothing_else(page):
    assert all(source.startswith("data:") for source in page.sources)
    assert "script" not in page.tags
    assert "link" not in page.tags


def test_it_lies_in_the_sessions_folder(session, page):
    assert (session.path / "report.html").is_file()
    assert not list(session.path.glob("*.partial"))


def test_it_says_what_matters(page):
    said = " ".join(page.words.split())
    for sentence in (
        "correlates with the stimulus, r = 0.",
        "r = 0.10 (null 0.02)",
        "3 neurons",
        "Last, First",
        "light leak",
        "eyes closed",
        "0.5 s of the movie are told by no activity",
    ):
        assert sentence in said


def test_its_plots_are_drawn(page):
    drawn = [s for s in page.sources if s.startswith("data:image/svg+xml")]
    svg = [base64.b64decode(source.partition(",")[2]).decode() for source in drawn]
    assert len(svg) == 3
    assert all(len(re.findall("<path", one)) > 20 for one in svg)


def test_how_fast_rules_were_is_drawn_by_what_they_read(session):
    titles = {axes.get_xlabel(): axes.get_title() for axes in latencies(session).axes}
    for what, rule in (("activity", "loud"), ("movie", "grating seen")):
        title = titles[f"frame to event, {what} rules, ms"]
        (median_ms,) = re.findall(r"p50 ([\d.]+)", title)
        assert float(median_ms) == pytest.approx(1500 * world.REACTION_S[rule], rel=0.1)


def test_its_clips_play(page, tmp_path):
    movies = [s for s in page.sources if s.startswith("data:video/mp4")]
    assert len(movies) == 2
    for number, source in enumerate(movies):
        file = tmp_path / f"{number}.mp4"
        file.write_bytes(base64.b64decode(source.partition(",")[2]))
        assert len(read_clip(file)) == SCENE_FRAMES


# -- what is chosen ------------------------------------------------------------------


def test_the_best_scene_is_where_the_movie_was_right(session):
    best, worst = best_and_worst(session)
    assert best.r == pytest.approx(1.0)
    assert np.array_equal(best.made, best.shown)
    assert worst.r < 0.5
    first = round(best.start_s * world.RATE_HZ)
    assert np.array_equal(best.shown, world.shown()[first : first + SCENE_FRAMES])


def test_without_a_stimulus_held_out_neurons_choose(blind):
    best, worst = best_and_worst(blind)
    assert best.shown is worst.shown is None
    assert best.start_s < worst.start_s
    assert best.r > worst.r


def test_what_is_recovered_is_the_share_of_variance(session):
    settled = (*np.unique(Session(session.path).final_movie()[0]),)
    shown = world.shown()[list(settled)].astype(float)
    made = world.made()[list(settled)].astype(float)
    expected = 1 - ((made - shown) ** 2).mean(0) / shown.var(0)
    assert recovered(session) == pytest.approx(np.clip(expected, 0, 1))


# -- sessions that lack something ----------------------------------------------------


def test_a_session_without_stimulus_says_so(blind, tmp_path):
    page = Page(write_report(blind.path, tmp_path / "a.html"))
    assert "Neurons held out" in page.words
    assert "correlates with the stimulus" not in page.words
    assert page.tags.count("video") == 2


def test_a_session_that_never_began_has_a_report_too(tmp_path):
    recorder = Recorder(tmp_path, world.record_world.about())
    recorder.close()
    page = Page(write_report(recorder.path))
    assert "cannot be told" in page.words
    assert "video" not in page.tags


def test_what_somebody_named_a_session_is_no_html(tmp_path):
    meta = {"source": "<script>alert(1)</script>"}
    path = world.recorded(tmp_path, stimulus=False, keeps_movie=False, meta=meta)
    page = Page(write_report(path))
    assert "script" not in page.tags
    assert "alert(1)" in page.words


def test_a_place_that_cannot_be_written_to_is_a_sentence(blind, tmp_path):
    with pytest.raises(UserError, match=r"a\.html cannot be written"):
        write_report(blind.path, tmp_path / "nowhere" / "a.html")


def test_the_command_writes_where_it_is_told(blind, tmp_path):
    done = rtrecon("report", blind.path, "--out", tmp_path / "a.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.html").is_file()
