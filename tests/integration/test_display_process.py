"""The display as a process of its own: how it ends, and what keeps it from opening."""

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

from rtrecon.display import screen
from rtrecon.protocol import messages
from rtrecon.testing.waiting import until

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytestmark = pytest.mark.skipif(bool(screen.defect()), reason=screen.defect())

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")

PROGRAM = """
import sys
from pathlib import Path
from rtrecon.display import DisplayOptions, run
publish, snapshot = sys.argv[1], Path(sys.argv[2])
raise SystemExit(run(DisplayOptions(
    publish, snapshot=snapshot, headless=True, close_with_daemon=True
)))
"""


@contextmanager
def display(publish: str, snapshot: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A display process that has drawn at least once."""
    command = [sys.executable, "-c", PROGRAM, publish, str(snapshot)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            until(snapshot.exists)
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends it at once")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(free_address, tmp_path: Path, number):
    snapshot = tmp_path / "live.png"
    with display(free_address(), snapshot) as process:
        snapshot.unlink()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert b"Traceback" not in process.stderr.read()
    assert snapshot.exists()


def test_it_closes_with_the_daemon_where_asked_to(free_address, tmp_path: Path):
    address = free_address()
    goodbye = messages.Event(session="s", seq=0, t=0.0, name="shutdown")
    with zmq.Context() as context, context.socket(zmq.PUB) as daemon:
        daemon.linger = 0
        daemon.bind(address)
        with display(address, tmp_path / "live.png") as process:

            def ended() -> bool:
                daemon.send_multipart(messages.encode_published(goodbye))
                return process.poll() is not None

            until(ended)
            assert process.returncode == 0


SENTENCES = {  # what is done before `run`, what the error says
    "no Qt": ("sys.modules['PySide6.QtCore'] = None", "needs PySide6"),
    "no screen": ("", "there is no screen here"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a screen")
@pytest.mark.parametrize(("before", "says"), SENTENCES.values(), ids=SENTENCES)
def test_what_keeps_a_window_from_opening_is_a_sentence(before, says):
    program = f"""
import sys
from rtrecon.display import DisplayError, DisplayOptions, run
{before}
try:
    run(DisplayOptions())
except DisplayError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={k: v for k, v in os.environ.items() if k not in SCREENS},
        capture_output=True,
        text=True,
        check=True,
    )
    assert says in done.stdout
