"""The display as a process: how it ends, what it prints, and why it may not open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from rtrecon.display.screen_check import find_pyside_problem
from rtrecon.protocol import messages
from rtrecon.testing.waiting import wait_until

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytestmark = pytest.mark.skipif(
    bool(find_pyside_problem()), reason=find_pyside_problem()
)

SCREEN_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")

PROGRAM = """
import sys
from pathlib import Path
from rtrecon.display import DisplayOptions, run_display, window
window.SNAPSHOT_INTERVAL_MS = 50
publish, snapshot = sys.argv[1], Path(sys.argv[2])
raise SystemExit(run_display(DisplayOptions(
    publish, snapshot=snapshot, headless=True, close_with_daemon=True
)))
"""


@contextmanager
def display_process(publish: str, snapshot: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A display process that has drawn at least once."""
    command = [sys.executable, "-c", PROGRAM, publish, str(snapshot)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            wait_until(snapshot.exists)
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills the process at once")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_display_ends_cleanly_and_silently_on_a_signal(
    free_address, tmp_path: Path, number
):
    snapshot = tmp_path / "live.png"
    with display_process(free_address(), snapshot) as process:
        snapshot.unlink()
        process.send_signal(number)
        assert process.wait(10) == 0
        printed = process.stderr.read()
    assert b"Traceback" not in printed
    assert b"propagateSizeHints" not in printed
    assert snapshot.exists()


def test_the_display_closes_with_the_daemon_if_asked_to(free_address, tmp_path: Path):
    address = free_address()
    shutdown = messages.Event(session="s", seq=0, t=0.0, name="shutdown")
    with zmq.Context() as context, context.socket(zmq.PUB) as daemon:
        daemon.linger = 0
        daemon.bind(address)
        with display_process(address, tmp_path / "live.png") as process:

            def has_ended() -> bool:
                daemon.send_multipart(messages.encode_published(shutdown))
                return process.poll() is not None

            wait_until(has_ended)
            assert process.returncode == 0


PROBLEMS = {  # statement before `run_display`, words of the error
    "Qt is missing": ("sys.modules['PySide6.QtCore'] = None", "needs PySide6"),
    "there is no screen": ("", "this machine has no screen"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a screen")
@pytest.mark.parametrize(("before", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_window_that_cannot_open_is_explained_in_a_sentence(before, words):
    program = f"""
import sys
from rtrecon.display import DisplayError, DisplayOptions, run_display
{before}
try:
    run_display(DisplayOptions())
except DisplayError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={k: v for k, v in os.environ.items() if k not in SCREEN_VARIABLES},
        capture_output=True,
        text=True,
        check=True,
    )
    assert words in done.stdout
