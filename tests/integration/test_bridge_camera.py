"""The camera program: what a daemon receives of a filmed eye, and its sentences."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.sources.video import read_picture, write_movie
from rtrecon.testing.daemon_process import make_settings
from rtrecon.testing.simulated_microscope import SimulatedMicroscope
from tests.support.octave import MessageCollector
from tests.support.paths import BRIDGE
from tests.support.synthetic_eye import SHAPE, SyntheticEye

PROGRAM = BRIDGE / "python" / "camera.py"
N_IMAGES, BLINK = 45, range(20, 26)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of an eye that moves, widens and blinks; and the eye in each image."""
    eyes = [
        SyntheticEye(
            x=60.0 + k,
            axes=(30.0 + k / 2, 30.0 + k / 2),
            lid_y=200.0 if k in BLINK else -1.0,
        )
        for k in range(N_IMAGES)
    ]
    path = tmp_path_factory.mktemp("film") / "eye.mp4"
    images = np.stack([eye.draw(k) for k, eye in enumerate(eyes)])
    write_movie(path, images, rate_hz=30.0, scale=1)
    return path, eyes


def track(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def test_the_camera_program_sends_the_pupil_and_no_guess(tmp_path, film):
    path, eyes = film
    settings = make_settings(tmp_path).network
    snapshot = tmp_path / "eye.png"
    with MessageCollector(settings) as collector:
        process = track(path, "--address", settings.frames, "--snapshot", snapshot)
        output = collector.collect_until_ended(process)
    assert f"{N_IMAGES} images, {N_IMAGES - len(BLINK)} with a pupil" in output
    assert "0 samples lost" in output
    samples = [message for message, _ in collector.received]
    assert all(isinstance(sample, messages.BehaviorSample) for sample in samples)
    assert [sample.seq for sample in samples] == list(range(N_IMAGES))
    for k, (sample, eye) in enumerate(zip(samples, eyes, strict=True)):
        if k in BLINK:
            assert sample.pupil_dilation is sample.pupil_x is sample.pupil_y is None
        else:
            assert sample.pupil_x == pytest.approx(eye.x, abs=0.5)
            assert sample.pupil_y == pytest.approx(eye.y, abs=0.5)
            assert sample.pupil_dilation == pytest.approx(eye.axes[0], abs=1.0)
        assert sample.running_speed is None
    times = np.array([sample.t_send for sample in samples])
    assert (np.diff(times) > 0).all()
    assert times[-1] - times[0] >= (N_IMAGES - 2) / 30
    assert read_picture(snapshot).shape == SHAPE


def test_a_daemon_aligns_the_pupil(tmp_path, film, small_daemon):
    path, _ = film
    n_before = len(small_daemon.received)
    with SimulatedMicroscope(small_daemon) as scope:
        process = track(path, "--address", small_daemon.settings.network.frames)
        scope.send_frames_until(lambda: process.poll() is not None, 60)
        scope.send_frames(10)
        scope.wait_until_processed()
        output, _ = process.communicate()
    assert "with a pupil" in output
    dilations = [
        message.behavior[0]
        for message, _ in small_daemon.received[n_before:]
        if isinstance(message, messages.Activity) and message.behavior[0] is not None
    ]
    assert dilations == sorted(dilations) or np.diff(dilations).min() > -0.5
    assert dilations[-1] == pytest.approx(52.0, abs=1.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.mp4",), "there is no film missing.mp4"),
        ((PROGRAM,), "cannot be read as a film"),
    ],
)
def test_a_film_that_cannot_be_read_is_a_sentence(arguments, words):
    process = track(*arguments, "--wait", 0)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert words in complaint
    assert "Traceback" not in complaint


def test_a_region_outside_the_image_is_a_sentence(film):
    process = track(film[0], "--wait", 0, "--region", "100,0,100,50")
    _, complaint = process.communicate(timeout=60)
    assert "reaches beyond the image of 160 x 120 pixels" in complaint


@pytest.mark.skipif(
    importlib.util.find_spec("cv2") is not None, reason="OpenCV is installed"
)
def test_a_camera_without_opencv_says_what_to_install():
    process = track(0, "--wait", 0)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "pip install opencv-python-headless (or 'rtrecon[camera]')" in complaint


def test_opencv_reads_a_film_as_it_reads_a_camera(film, monkeypatch):
    cv2 = pytest.importorskip("cv2")
    monkeypatch.syspath_prepend(BRIDGE / "python")
    import camera
    import eye_images

    capture = cv2.VideoCapture(str(film[0]))
    images = list(eye_images.read_capture(capture, "film", cv2))
    assert [image.number for image in images] == list(range(1, N_IMAGES + 1))
    found = camera.locate_pupil(images[0].pixels, (10, 5, 140, 110), camera.Limits())
    assert found.x == pytest.approx(60.0, abs=0.5)
    nothing = cv2.VideoCapture(str(film[0]) + ".missing")
    with pytest.raises(
        eye_images.CameraError, match="cannot be opened: is it connected"
    ):
        next(eye_images.read_capture(nothing, "camera 3", cv2))


def test_the_camera_program_does_not_import_rtrecon():
    for name in ("camera.py", "ellipse.py", "eye_images.py", "pupil.py"):
        text = (BRIDGE / "python" / name).read_text(encoding="utf-8")
        assert "import rtrecon" not in text
        assert "from rtrecon" not in text
