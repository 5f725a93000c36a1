"""`rtrecon stimulus`: what it shows, what a daemon receives, and whom it obeys."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from rtrecon.display.screen_check import find_pyside_problem
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import BackgroundProcess, make_settings
from rtrecon.testing.simulated_microscope import SimulatedMicroscope
from rtrecon.testing.waiting import wait_until
from tests.support.command_line import run_here
from tests.support.octave import MessageCollector

pytestmark = pytest.mark.skipif(
    bool(find_pyside_problem()), reason=find_pyside_problem()
)
WINDOW = ("--window", "256x144")


@pytest.fixture(autouse=True)
def _offscreen(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def clips(tmp_path):
    """A folder of three clips; each picture has a gray level of its own."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for k, name in enumerate("abc"):
        levels = 20 + 70 * k + 2 * np.arange(15, dtype=np.uint8)
        pictures = np.zeros((15, 36, 64), np.uint8) + levels[:, None, None]
        np.save(folder / f"{name}.npy", pictures)
    return folder


def present(log, *arguments: object) -> BackgroundProcess:
    return BackgroundProcess(log, "stimulus", *arguments, *WINDOW, "--gray-s", 0.4)


def test_a_daemon_aligns_the_pictures_that_are_shown(tmp_path, clips, small_daemon):
    network = small_daemon.settings.network
    n_before = len(small_daemon.received)
    addresses = ("--to", network.frames, "--publish", network.publish)
    with SimulatedMicroscope(small_daemon) as scope:
        times = tmp_path / "times.csv"
        with present(
            tmp_path / "log", clips / "b.npy", *addresses, "--log", times
        ) as presenter:
            scope.send_frames_until(lambda: presenter.process.poll() is not None, 60)
            assert presenter.process.returncode == 0, presenter.output
        scope.send_frames(10)
        scope.wait_until_processed()
    assert "1 clips shown" in presenter.output
    assert "pictures sent to the daemon" in presenter.output
    assert "lost" not in presenter.output
    aligned = [
        (message.clip, int(image[18, 32]))
        for message, image in small_daemon.received[n_before:]
        if isinstance(message, messages.AlignedStimulus)
    ]
    levels = [level for name, level in aligned if name == "b"]
    assert len(levels) >= 10
    assert levels == sorted(levels)
    assert set(levels) <= set(range(90, 120, 2))
    assert ("gray", 127) in aligned
    with times.open(newline="") as file:
        rows = list(csv.DictReader(file))
    shown_s = np.array([float(row["time_s"]) for row in rows])
    assert (np.diff(shown_s) > 0).all()
    assert [row["patch"] for row in rows[:4]] == ["1", "0", "1", "0"]


def test_the_next_clip_is_the_one_that_the_daemon_asks_for(tmp_path, clips):
    network = make_settings(tmp_path).network
    fields = {"session": "s", "t": 0.0, "name": "next_clip"}
    with MessageCollector(network) as collector:
        address = ("--to", network.frames, "--publish", network.publish)
        with present(tmp_path / "log", clips, *address) as presenter:

            def shows_first_clip() -> bool:
                return any(m.clip == "a" for m, _ in collector.received)

            collector.collect_until(shows_first_clip)
            for seq, clip in enumerate(("nothing", "c")):
                event = messages.Event(seq=seq, clip=clip, **fields)
                collector.publish(event)
            collector.collect_until(lambda: presenter.process.poll() is not None)
        collector.collect_rest()
    names = [m.clip for m, _ in collector.received if m.clip != "gray"]
    assert list(dict.fromkeys(names)) == ["a", "c", "b"]
    assert "asks for clip 'c' next" in presenter.output
    assert "'nothing', but none of the clips has this name" in presenter.output
    sent = [m for m, _ in collector.received]
    assert [m.seq for m in sent] == list(range(len(sent)))
    assert all(m.t_send and m.shape == (36, 64) for m in sent)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills the process at once")
def test_a_presenter_that_is_stopped_ends_in_order(tmp_path, clips):
    arguments = (clips, "--without-daemon", "--repeats", 0)
    with present(tmp_path / "log", *arguments) as presenter:
        wait_until(lambda: "screen:" in presenter.output)
        presenter.process.terminate()
        assert presenter.process.wait(20) == 0
        assert "nothing was sent" in presenter.output
        assert "Traceback" not in presenter.output


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills the process at once")
def test_a_daemon_that_ends_stops_no_clip_and_losses_are_counted(tmp_path, clips):
    network = make_settings(tmp_path).network
    address = ("--to", network.frames, "--publish", network.publish)
    log = tmp_path / "times.csv"
    arguments = (clips, *address, "--repeats", 0, "--log", log)
    with present(tmp_path / "log", *arguments) as presenter:
        with MessageCollector(network) as collector:
            collector.collect_until(lambda: bool(collector.received))
        n_before = len(log.read_text().splitlines())
        wait_until(lambda: len(log.read_text().splitlines()) > n_before + 50)
        presenter.process.terminate()
        assert presenter.process.wait(20) == 0
        assert "lost: it ended, or was too slow" in presenter.output


PRESS_ESCAPE = """
import sys
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent
from rtrecon.cli import main
from rtrecon.presenter import presentation

record = presentation.Presentation.record_flip

def record_and_press(show, shown, flip_s):
    if shown.clip.name == "b":
        window, = QGuiApplication.topLevelWindows()
        key = QKeyEvent(
            QEvent.Type.KeyPress, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier
        )
        QGuiApplication.postEvent(window, key)
    return record(show, shown, flip_s)

presentation.Presentation.record_flip = record_and_press
main()
"""


def test_escape_ends_the_presentation(clips):
    arguments = ["stimulus", str(clips), "--without-daemon", "--gray-s", "0.1", *WINDOW]
    done = subprocess.run(
        [sys.executable, "-c", PRESS_ESCAPE, *arguments, "--repeats", "0"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "2 clips shown" in done.stdout
    assert done.stderr == ""


def test_a_dry_run_tells_the_duration_and_opens_nothing(clips):
    done = run_here("stimulus", clips, "--dry-run", "--repeats", 3)
    assert done.returncode == 0
    # 3 x 3 clips of 0.5 s, with 1 s of gray before, between and after them
    assert "3 clips with 1 s of gray between them, shown 3 times: 14 s" in done.stdout
    forever = run_here("stimulus", clips, "--dry-run", "--repeats", 0)
    assert "until you press Esc" in forever.stdout


def test_gamma_and_size_of_the_screen_are_those_of_the_settings(tmp_path, clips):
    settings = tmp_path / "rig.toml"
    settings.write_text(
        "[screen]\ngamma = 2.2\nsize_cm = [51.0, 29.0]\ndistance_cm = 15.0\n"
    )
    arguments = "stimulus", clips, "--dry-run", "--settings", settings
    done = run_here(*arguments, "--warp")
    assert done.returncode == 0, done.stderr
    sentence = "gamma 2.2, by screen.gamma of the settings"
    assert sentence in " ".join((done.stdout + done.stderr).split())
    chosen = run_here(*arguments, "--gamma", 1.8)
    assert sentence not in " ".join((chosen.stdout + chosen.stderr).split())


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        ("Top-left, 3 x 3 cm", "photodiode patch: top-left, by screen.patch"),
        ("in the corner", "'in the corner', begins with no corner such as top-left"),
    ],
)
def test_the_patch_is_in_the_corner_of_the_settings(tmp_path, clips, text, notice):
    settings = tmp_path / "rig.toml"
    settings.write_text(f'[screen]\npatch = "{text}"\n')
    arguments = "stimulus", clips, "--dry-run", "--settings", settings
    done = run_here(*arguments)
    assert done.returncode == 0, done.stderr
    assert notice in " ".join((done.stdout + done.stderr).split())
    chosen = run_here(*arguments, "--patch", "bottom-left")
    assert "screen.patch" not in " ".join((chosen.stdout + chosen.stderr).split())


def test_mistakes_are_sentences(tmp_path, clips, free_address):
    np.save(tmp_path / "loud.npy", np.zeros((2, 3, 4)))
    for arguments, words in (
        ((tmp_path / "missing.mp4",), "there is no clip"),
        ((tmp_path / "loud.npy",), "float64 of shape [2, 3, 4]"),
        ((clips, "--window", "10x10"), "too small for a picture"),
        ((clips, "--gray-s", "-1"), "0 to 3600 seconds"),
        ((clips, "--patch-percent", "90"), "--patch none"),
        ((clips, "--gamma", "9"), "a gamma of 9 is impossible"),
        ((clips, "--gamma", "0"), "a gamma of 0 is impossible"),
        ((clips, "--gamma", "2", "--gamma-table", "x"), "give one of them"),
        ((clips, "--warp"), "set screen.size_cm and screen.distance_cm"),
    ):
        done = run_here("stimulus", *arguments)
        assert done.returncode == 2
        assert words in " ".join(done.stderr.split())


def run_presenter(*arguments: object) -> str:
    """Return what a presenter of its own process writes when it fails."""
    command = [sys.executable, "-m", "rtrecon", "stimulus", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_without_daemon_or_second_screen_it_says_what_to_do(clips, free_address):
    refused = run_presenter(clips, *WINDOW, "--to", free_address())
    assert "no daemon listens at" in refused
    assert "--without-daemon" in refused
    refused = run_presenter(clips, *WINDOW, "--without-daemon", "--screen", 2)
    assert "there is no screen 2; this computer has 1" in refused


GRAB = """
import os, sys
from PySide6.QtGui import QGuiApplication
app = QGuiApplication([])
app.primaryScreen().grabWindow(0).save(sys.argv[1])
os._exit(0)
"""


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb")
@pytest.mark.skipif(
    "PYTEST_XDIST_WORKER" in os.environ,
    reason="OpenGL without a graphics card needs a core of its own; run it alone",
)
def test_the_whole_screen_shows_the_picture_and_the_patch(tmp_path):
    """A clip of one gray level, with gamma 2.2, on a virtual screen with OpenGL."""
    np.save(tmp_path / "level.npy", np.full((30, 36, 64), 60, np.uint8))
    expected = round(255 * (60 / 255) ** (1 / 2.2))
    read_end, write_end = os.pipe()
    server = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "640x480x24"]
    with subprocess.Popen(
        server, pass_fds=[write_end], stderr=subprocess.DEVNULL
    ) as screen:
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            environment = os.environ | {
                "DISPLAY": f":{pipe.readline().strip()}",
                "QT_QPA_PLATFORM": "xcb",
            }
        command = [sys.executable, "-m", "rtrecon", "stimulus", tmp_path / "level.npy"]
        command += ["--without-daemon", "--gray-s", "0", "--repeats", "0"]
        command += ["--gamma", "2.2", "--patch", "top-left", "--patch-percent", "25"]
        with subprocess.Popen(
            [*map(str, command)], env=environment, stdout=subprocess.PIPE
        ) as presenter:
            try:
                picture = grab_screen(tmp_path / "screen.png", environment, expected)
            finally:
                presenter.terminate()
                presenter.communicate()
                screen.terminate()
    assert presenter.returncode == 0
    height, width = picture.shape
    assert (height, width) == (480, 640)
    gray = round(255 * (127 / 255) ** (1 / 2.2))
    assert picture[20, 320] == pytest.approx(gray, abs=1)  # 16:9 on a 4:3 screen
    assert picture[10, 10] in (0, 255)
    assert (picture[:120, :120] == picture[10, 10]).all()


def grab_screen(path, environment: dict[str, str], level: int) -> np.ndarray:
    """Return the screen, as soon as its middle has this gray level."""
    from rtrecon.sources.video import read_picture

    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        subprocess.run(
            [sys.executable, "-c", GRAB, str(path)], env=environment, check=True
        )
        picture = read_picture(path)
        if abs(int(picture[240, 320]) - level) <= 1:
            return picture
    raise AssertionError(f"the middle of the screen was never {level}")
