"""The demo of neurons in a dish runs the whole rig and writes what it found."""

from __future__ import annotations

import json

from rtrecon.demo import dish
from rtrecon.demo.dish import DishDemoRequest, run_dish_demo
from rtrecon.session.session import Session, list_sessions
from rtrecon.sources.video import read_clip
from tests.support.command_line import run_here

SECONDS, SIDE_PX = 6.0, 192


def test_the_demo_writes_summary_video_picture_session_and_report(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(dish, "_FRAMES_PER_S", 3.0)
    out, sentences = tmp_path / "out", []
    request = DishDemoRequest(SECONDS, True, out, seed=2, side_px=SIDE_PX)
    summary = run_dish_demo(request, sentences.append, lambda done, total: None)
    assert json.loads((out / "summary.json").read_text()) == summary
    assert summary["frames_dropped_by_sender"] == 0
    assert summary["pictures"] == summary["frames_sent"] == 18
    assert abs(summary["bodies"] - summary["true_bodies"]) <= 1
    assert summary["length_mm"] > 0.5 * summary["true_length_mm"]
    video = read_clip(out / "timelapse.mp4", (64, 64), rate_hz=12.0)
    assert abs(len(video) - 18) <= 1
    assert video.std() > 10
    assert (out / "live.png").stat().st_size > 10_000
    (path,) = list_sessions(out / "session")
    assert len(Session(path).dish) == 18
    done = run_here("report", path, "--out", out / "report.html")
    assert done.returncode == 0, done.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "mm per mm2" in page


def test_a_demo_that_is_too_short_is_refused():
    done = run_here("demo", "--dish", "--seconds", 1, "--headless")
    assert done.returncode == 2
    assert "give 3 or more" in done.stderr
