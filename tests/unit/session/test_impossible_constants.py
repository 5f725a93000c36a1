"""Sessions whose constants somebody changed: refused with the name of the value."""

from __future__ import annotations

import json

import pytest

from rtrecon.session.recorder import Recorder
from rtrecon.session.session import NotASessionError, Session
from rtrecon.session.tables import ABOUT_FILE, MESSAGE_FILES
from tests.support import session_tables

IMPOSSIBLE = {
    "rate_hz": 0,
    "encoder_rate_hz": -30,
    "hop_frames": 0,
    "window_frames": -5,
    "started": "yesterday",
}


@pytest.fixture
def folder(tmp_path):
    recorder = Recorder(tmp_path, session_tables.make_about())
    recorder.close()
    return recorder.path


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_session_with_an_impossible_constant_is_refused(folder, name):
    file = folder / ABOUT_FILE
    content = json.loads(file.read_text()) | {name: IMPOSSIBLE[name]}
    file.write_text(json.dumps(content))
    with pytest.raises(NotASessionError, match=rf"about\.json: {name} is"):
        Session(folder)


def test_a_time_zone_that_no_place_has_is_refused(folder):
    file = folder / ABOUT_FILE
    content = json.loads(file.read_text()) | {"started": "2026-01-01T00:00:00+25:00"}
    file.write_text(json.dumps(content))
    with pytest.raises(NotASessionError, match="must be a date and time"):
        Session(folder)


def test_a_message_file_that_cannot_be_read_is_a_notice(folder):
    file = folder / MESSAGE_FILES["events"]
    file.unlink(missing_ok=True)
    file.mkdir()
    session = Session(folder)
    assert session.events == []
    assert any("events.jsonl cannot be read" in notice for notice in session.notices)
