"""The report of damaged and very short sessions: a notice, and everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rtrecon.analysis.report import write_report
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ARRAYS_FOLDER, MESSAGE_FILES
from tests.support import recorded_session as world
from tests.support import session_tables

TABLES = ("frames", "activity", "stimulus", "behavior", "movie")


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> Path:
    return world.record_session(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def folder(intact, tmp_path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / intact.name))


def test_damaged_chunks_and_lines_are_notices(folder):
    for table in TABLES:
        (folder / ARRAYS_FOLDER / table / "rows" / "c.0.0").unlink()
    events = folder / MESSAGE_FILES["events"]
    events.write_bytes(events.read_bytes()[:-9])
    page = write_report(folder).read_text(encoding="utf-8")
    for table in TABLES:
        assert f"{table}: rows of 0." in page
    assert "events.jsonl: 1 of" in page


@pytest.mark.parametrize("table", ["frames", "activity", "stimulus", "movie"])
def test_the_top_of_the_report_names_values_whose_checksum_is_wrong(folder, table):
    chunk = next((folder / ARRAYS_FOLDER / table / "values").glob("c.*"))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 0xFF
    chunk.write_bytes(content)
    page = write_report(folder).read_text(encoding="utf-8")
    top = page[: page.index("<section>")]
    assert f"{table}: values of" in top
    assert "the checksum of their chunks is wrong" in top


def test_the_top_of_the_report_of_an_intact_session_names_no_damage(folder):
    page = write_report(folder).read_text(encoding="utf-8")
    assert "cannot be read" not in page


def test_a_report_without_any_readable_array_is_written(folder):
    for table in TABLES:
        (folder / ARRAYS_FOLDER / table / "rows" / "zarr.json").write_text("{")
    page = write_report(folder).read_text(encoding="utf-8")
    for table in TABLES:
        assert f"{table}: rows of" in page


@pytest.mark.parametrize("n_frames", [0, 1])
def test_a_report_of_an_empty_or_one_frame_session_is_written(tmp_path, n_frames):
    recorder = Recorder(tmp_path, session_tables.make_about())
    for i in range(n_frames):
        session_tables.record_frame(recorder, i)
    recorder.close()
    page = write_report(recorder.path).read_text(encoding="utf-8")
    assert f"{n_frames} frames recorded" in page
