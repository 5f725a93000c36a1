"""A daemon that records: it writes reports, and survives a full disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rtrecon.config import RecordingSettings
from rtrecon.testing.daemon_process import START_TIMEOUT_S, DaemonProcess
from rtrecon.testing.simulated_microscope import (
    SimulatedMicroscope,
    make_small_settings,
)
from tests.support.changed_constants import ChangedDaemon

N_FRAMES = 60
SOON = {"rtrecon.daemon.report_writer._IDLE_S": 0.5}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory) -> Iterator[DaemonProcess]:
    folder = tmp_path_factory.mktemp("daemon")
    record = RecordingSettings(folder=str(folder / "recordings"), chunk_s=0.5)
    settings = make_small_settings(folder, recording=record)
    with ChangedDaemon(folder, settings, SOON) as daemon:
        yield daemon


def sentences(daemon: DaemonProcess, name: str, session: str) -> list[str]:
    """The messages of a session's events of this name."""
    events = daemon.events_named(name)
    return [event.message for event in events if event.session == session]


def reports(daemon: DaemonProcess) -> list[Path]:
    return sorted(Path(daemon.settings.recording.folder).glob("*/report.html"))


def test_a_report_is_written_when_the_recording_stops(daemon):
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(N_FRAMES)
        microscope.wait_until_processed()
        daemon.call("record", on=False)
        daemon.wait_until(lambda: len(reports(daemon)) == 1, START_TIMEOUT_S)
        (record,) = daemon.recordings(microscope.session)
        daemon.call("record", on=True)
    assert reports(daemon) == [record.path / "report.html"]
    # Without an encoder, training comes next.
    assert sentences(daemon, "recorded", microscope.session) == [
        f"the session is recorded in {record.path}: 2 s, nothing lost; "
        f"next: rtrecon train --session {record.path}"
    ]
    assert sentences(daemon, "report", microscope.session) == [
        f"the report {record.path / 'report.html'} is being written"
    ]
    assert record.about.libraries
    assert record.about.machine.cores


def test_a_report_is_written_when_the_session_is_idle(daemon):
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(N_FRAMES)
        microscope.wait_until_processed()

    def written() -> bool:
        return any((r.path / "report.html").exists() for r in records())

    def records():
        return daemon.recordings(microscope.session)

    daemon.wait_until(written, START_TIMEOUT_S)
    path = records()[-1].path
    assert daemon.call("status")["recording"] == str(path)
    [recorded] = sentences(daemon, "recorded", microscope.session)
    assert recorded.startswith(f"the session is recorded in {path}: ")
    assert sentences(daemon, "report", microscope.session) == [
        f"the report {path / 'report.html'} is being written"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="a limit that only Linux can set")
def test_a_full_disk_is_reported_and_frames_are_still_processed(daemon):
    with SimulatedMicroscope(daemon) as microscope:
        microscope.send_frames(N_FRAMES)
        microscope.wait_until_processed()
        limit = 64  # bytes: the largest file that the daemon may write
        psutil.Process(daemon.process.pid).rlimit(psutil.RLIMIT_FSIZE, (limit, limit))
        microscope.send_frames_until(
            lambda: daemon.events_named("recording"), START_TIMEOUT_S
        )
        microscope.send_frames(N_FRAMES)
        health = microscope.wait_until_processed()
    daemon.wait_until(lambda: "not recording" in daemon.newest_health().conditions)
    assert "Free disk space" in daemon.newest_health().conditions["not recording"]
    assert "Free disk space" in daemon.events_named("recording")[-1].message
    assert health.frames_processed >= 2 * N_FRAMES
    assert health.lost["record"] > 0
