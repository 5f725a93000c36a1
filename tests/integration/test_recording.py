"""A daemon that records: its report comes by itself, and a full disk stops no frame."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rtrecon.config import RecordSettings
from rtrecon.testing.daemon_process import SLOW_S, Daemon, Scope, small_settings

N_FRAMES = 60


@pytest.fixture(scope="module")
def daemon(tmp_path_factory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("daemon")
    record = RecordSettings(folder=str(folder / "recordings"), chunk_s=0.5)
    with Daemon(folder, small_settings(folder, record=record)) as daemon:
        yield daemon


def reports(daemon: Daemon) -> list[Path]:
    return sorted(Path(daemon.settings.record.folder).glob("*/report.html"))


def test_a_recording_that_ends_has_a_report(daemon):
    with Scope(daemon) as scope:
        scope.scan(N_FRAMES)
        scope.until_processed()
        daemon.ask("record", on=False)
        daemon.until(lambda: len(reports(daemon)) == 1, SLOW_S)
        (record,) = daemon.records(scope.session)
        daemon.ask("record", on=True)
    assert reports(daemon) == [record.path / "report.html"]
    assert record.about.libraries
    assert record.about.machine.cores


def test_a_session_that_is_over_has_a_report_while_the_daemon_waits(daemon):
    with Scope(daemon) as scope:
        scope.scan(N_FRAMES)
        scope.until_processed()

    def written() -> bool:
        return any((r.path / "report.html").exists() for r in records())

    def records():
        return daemon.records(scope.session)

    daemon.until(written, SLOW_S)
    assert daemon.ask("status")["recording"] == str(records()[-1].path)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit that only Linux can set")
def test_a_full_disk_is_an_alarm_and_the_loop_goes_on(daemon):
    with Scope(daemon) as scope:
        scope.scan(N_FRAMES)
        scope.until_processed()
        limit = 64  # bytes, more than which no file may have: its own log neither
        psutil.Process(daemon.process.pid).rlimit(psutil.RLIMIT_FSIZE, (limit, limit))
        scope.scan_until(lambda: daemon.events("recording"), SLOW_S)
        scope.scan(N_FRAMES)
        health = scope.until_processed()
    assert "Make room" in daemon.events("recording")[-1].message
    assert health.frames_processed >= 2 * N_FRAMES
    assert health.lost["record"] > 0
