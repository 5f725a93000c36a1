"""Wiping deletes what rtrecon has recorded after a confirmation, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtrecon.cli import app
from rtrecon.core.errors import UserError
from rtrecon.core.files import temporary_path
from rtrecon.session import tables
from rtrecon.session.recorder import Recorder
from rtrecon.session.resume_state import (
    get_reference_path,
    get_state_path,
    get_trace_quality_path,
)
from rtrecon.session.wipe import plan_wipe, wipe_session
from tests.support import session_tables as world


def record_session(folder: Path, age_s: float = 60.0) -> Path:
    """A session of three frames whose files were written so long ago."""
    recorder = Recorder(folder, world.make_about())
    for i in range(3):
        world.record_frame(recorder, i)
    recorder.close()
    (recorder.path / "report.html").write_text("a report")
    age_files(recorder.path, age_s)
    return recorder.path


def age_files(folder: Path, age_s: float) -> None:
    then = time.time() - age_s
    for file in folder.rglob("*"):
        os.utime(file, (then, then))


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return record_session(tmp_path / "recordings")


def run_wipe(*arguments: object, answer: str = ""):
    return CliRunner().invoke(app, ["wipe", *map(str, arguments)], input=answer)


def test_the_plan_lists_what_will_be_deleted(session: Path):
    planned = plan_wipe(session)
    assert planned.n_files == sum(file.is_file() for file in session.rglob("*"))
    names = {entry.name for entry in planned.entries}
    assert {"about.json", "arrays.zarr", "report.html"} <= names
    assert planned.other_entries == []
    assert str(session) in planned.describe()


def test_a_session_is_deleted_and_its_neighbor_stays(session: Path):
    neighbor = record_session(session.parent)
    wipe_session(plan_wipe(session))
    assert list(session.parent.iterdir()) == [neighbor]


def test_files_of_the_user_stay_and_are_named(session: Path):
    notes, figures = session / "notes.txt", session / "figures"
    notes.write_text("the mouse slept")
    figures.mkdir()
    (figures / "events.jsonl").write_text("not rtrecon's")
    done = run_wipe(session, "--yes")
    assert done.exit_code == 0
    assert done.output.count("not written by rtrecon, stays: figures, notes.txt") == 2
    assert sorted(session.rglob("*")) == [figures, figures / "events.jsonl", notes]


def test_all_that_the_daemon_and_the_report_write_is_deleted(session: Path):
    for path in (get_reference_path, get_state_path, get_trace_quality_path):
        path(session, 0).write_bytes(b"")
        path(session, 11).write_bytes(b"")
    temporary_path(session / "report.html").write_text("interrupted")
    (session / tables.RAW_MESSAGES_FILE).write_bytes(b"")
    age_files(session, 60.0)
    wipe_session(plan_wipe(session))
    assert not session.exists()


def test_the_target_of_a_link_stays(session: Path, tmp_path: Path):
    outside = tmp_path / "mine"
    outside.mkdir()
    (outside / "thesis.txt").write_text("years of work")
    try:
        (session / "link").symlink_to(outside, target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    wipe_session(plan_wipe(session))
    assert (outside / "thesis.txt").exists()
    assert [entry.name for entry in session.iterdir()] == ["link"]


def test_a_wipe_that_failed_can_be_repeated(
    session: Path, monkeypatch: pytest.MonkeyPatch
):
    planned = plan_wipe(session)
    with monkeypatch.context() as held:
        held.setattr(Path, "unlink", refuse)
        with pytest.raises(UserError, match="wipe it again"):
            wipe_session(planned)
    wipe_session(plan_wipe(session))
    assert not session.exists()


def refuse(*_: object) -> None:
    raise PermissionError("somebody has it open")


NO_SESSIONS = {
    "a folder of pictures": lambda path: (path / "cat.png").write_text("x"),
    "an empty folder": lambda path: None,
    "another program's": lambda path: (path / "about.json").write_text("{}"),
}


@pytest.mark.parametrize("fill", NO_SESSIONS.values(), ids=NO_SESSIONS)
def test_a_folder_that_is_no_session_is_refused(tmp_path: Path, fill):
    fill(tmp_path)
    before = list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"not a recorded session|cannot be read"):
        plan_wipe(tmp_path)
    assert list(tmp_path.iterdir()) == before


def test_the_folder_of_all_sessions_is_refused(session: Path):
    with pytest.raises(UserError, match="not a recorded session"):
        plan_wipe(session.parent)


def test_a_session_that_is_being_recorded_is_refused(tmp_path: Path):
    # Dated a minute ahead: even a test that stalls does not make its files old.
    with pytest.raises(UserError, match="still being written"):
        plan_wipe(record_session(tmp_path, age_s=-60.0))


def test_nothing_is_deleted_without_confirmation(session: Path):
    for answer in ("n\n", "\n", ""):
        assert run_wipe(session, answer=answer).exit_code == 1
    assert session.exists()


def test_one_invalid_folder_keeps_all_sessions(session: Path, tmp_path: Path):
    with pytest.raises(UserError):
        CliRunner().invoke(
            app, ["wipe", str(session), str(tmp_path), "--yes"], catch_exceptions=False
        )
    assert session.exists()


@pytest.mark.parametrize("how", [("--yes",), ()])
def test_the_command_reports_what_it_deleted(session: Path, how: tuple[str, ...]):
    done = run_wipe(session, *how, answer="y\n")
    assert done.exit_code == 0
    assert not session.exists()
    assert "is deleted" in done.output
