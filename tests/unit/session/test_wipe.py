"""Sessions are deleted whole, when asked twice; nothing else ever is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtrecon.cli import app
from rtrecon.core.errors import UserError
from rtrecon.session.recorder import Recorder
from rtrecon.session.wipe import plan_wipe, wipe
from tests.support import session_tables as world


def recorded(folder: Path, age_s: float = 60.0) -> Path:
    """A session of three frames whose files were written so long ago."""
    recorder = Recorder(folder, world.about())
    for i in range(3):
        world.record(recorder, i)
    recorder.close()
    (recorder.path / "report.html").write_text("a report")
    then = time.time() - age_s
    for file in recorder.path.rglob("*"):
        os.utime(file, (then, then))
    return recorder.path


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return recorded(tmp_path / "recordings")


def typed(*arguments: object, answer: str = ""):
    return CliRunner().invoke(app, ["wipe", *map(str, arguments)], input=answer)


def test_it_is_said_what_goes(session: Path):
    planned = plan_wipe(session)
    assert planned.n_files == sum(file.is_file() for file in session.rglob("*"))
    assert {"about.json", "arrays.zarr", "report.html"} <= set(planned.names)
    assert str(session) in planned.sentence()


def test_a_session_goes_and_its_neighbour_stays(session: Path):
    neighbour = recorded(session.parent)
    wipe(plan_wipe(session))
    assert list(session.parent.iterdir()) == [neighbour]


def test_what_a_link_points_to_stays(session: Path, tmp_path: Path):
    outside = tmp_path / "mine"
    outside.mkdir()
    (outside / "thesis.txt").write_text("years of work")
    try:
        (session / "link").symlink_to(outside, target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    wipe(plan_wipe(session))
    assert (outside / "thesis.txt").exists()
    assert not session.exists()


def test_a_wipe_that_was_cut_off_can_be_asked_for_again(
    session: Path, monkeypatch: pytest.MonkeyPatch
):
    planned = plan_wipe(session)
    with monkeypatch.context() as held:
        held.setattr(Path, "unlink", refused)
        with pytest.raises(UserError, match="wipe it again"):
            wipe(planned)
    wipe(plan_wipe(session))
    assert not session.exists()


def refused(*_: object) -> None:
    raise PermissionError("somebody has it open")


NO_SESSIONS = {
    "a folder of pictures": lambda path: (path / "cat.png").write_text("x"),
    "an empty folder": lambda path: None,
    "another program's": lambda path: (path / "about.json").write_text("{}"),
}


@pytest.mark.parametrize("fill", NO_SESSIONS.values(), ids=NO_SESSIONS)
def test_what_is_no_session_is_refused(tmp_path: Path, fill):
    fill(tmp_path)
    before = list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"not a recording|cannot be read"):
        plan_wipe(tmp_path)
    assert list(tmp_path.iterdir()) == before


def test_the_folder_of_all_sessions_is_refused(session: Path):
    with pytest.raises(UserError, match="not a recording"):
        plan_wipe(session.parent)


def test_a_session_that_is_being_recorded_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="still written to"):
        plan_wipe(recorded(tmp_path, age_s=0.0))


def test_nothing_goes_without_a_yes(session: Path):
    for answer in ("n\n", "\n", ""):
        assert typed(session, answer=answer).exit_code == 1
    assert session.exists()


def test_one_that_is_none_keeps_the_others(session: Path, tmp_path: Path):
    with pytest.raises(UserError):
        CliRunner().invoke(
            app, ["wipe", str(session), str(tmp_path), "--yes"], catch_exceptions=False
        )
    assert session.exists()


@pytest.mark.parametrize("how", [("--yes",), ()])
def test_the_command_says_what_it_deleted(session: Path, how: tuple[str, ...]):
    done = typed(session, *how, answer="y\n")
    assert done.exit_code == 0
    assert not session.exists()
    assert "is deleted" in done.output
