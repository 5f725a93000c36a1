"""A session stores the measured frame rate where the sender announced another."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.tables import ARRAYS_FOLDER
from tests.support import session_tables as world


def record(folder: Path, *rates_hz: float) -> Session:
    about = replace(world.make_about(), announced_rate_hz=30.0)
    recorder = Recorder(folder, about)
    for i in range(30):
        world.record_frame(recorder, i)
    for rate_hz in rates_hz:
        recorder.set_frame_rate(rate_hz)
    recorder.close()
    assert recorder.failure is None
    return Session(recorder.path)


def test_the_measured_rate_replaces_the_announced_one(tmp_path):
    session = record(tmp_path, 30.0, 15.2)
    assert (session.about.rate_hz, session.about.announced_rate_hz) == (15.2, 30.0)
    assert session.about.version  # the rest is as before


def test_the_announced_rate_stays_where_it_is_right(tmp_path):
    about = record(tmp_path, 30.0).about
    assert (about.rate_hz, about.announced_rate_hz) == (30.0, 30.0)


def test_lost_seconds_follow_from_the_measured_rate(tmp_path):
    session = record(tmp_path, 15.0)
    (session.path / ARRAYS_FOLDER / "frames" / "rows" / "c.0.0").unlink()
    (notice,) = Session(session.path).notices
    assert "rows of 1.6 s (24 of 30 rows)" in notice
