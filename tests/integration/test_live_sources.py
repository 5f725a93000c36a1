"""Live sources: frames that ScanImage publishes, and Micro-Manager cameras."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import zmq

from rtrecon.protocol import messages
from rtrecon.replay.recording import forward_live_source
from rtrecon.sources import RecordingError, RecordingHints
from rtrecon.sources.message_capture import read_capture
from rtrecon.sources.scanimage_stream import ScanImageStream, receive_messages
from rtrecon.testing.frame_receiver import FrameReceiver
from rtrecon.transport.sockets import AddressError
from tests.support.command_line import run_here
from tests.support.scanimage_messages import RATE_HZ, SHAPE, make_image, make_message

TIMEOUT_S = 10.0


@contextmanager
def publish_frames(address: str):
    """Publish a frame every few milliseconds as long as the context lasts."""
    context = zmq.Context()
    over = threading.Event()

    def publish() -> None:
        socket = context.socket(zmq.PUB)
        socket.bind(address)
        number = 0
        while not over.wait(0.002):
            number += 1
            socket.send_multipart(make_message(number))
        socket.close(linger=0)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        context.term()


# -- published frames ---------------------------------------------------------------


def test_published_frames_are_forwarded_to_the_daemon(free_address):
    address, to = free_address(), free_address()
    with publish_frames(address), FrameReceiver(to) as receiver:
        received = receive_messages(address, TIMEOUT_S)
        hints = RecordingHints(channel=3, rate_hz=RATE_HZ)
        source = ScanImageStream("a test", received, hints)
        assert (source.shape, source.channels) == (SHAPE, (3,))

        def close_after_50(done: int, total: int | None) -> None:
            assert total is None
            if done == 50:
                source.close()  # like the end of an acquisition

        report = forward_live_source(source, to, on_progress=close_after_50)
    frames = receiver.frames()
    assert report.frames_sent == len(frames) >= 50 - report.frames_dropped
    for header, pixels in frames:
        assert header.channel == 3
        assert np.array_equal(pixels, make_image(header.frame, 3))
    assert isinstance(receiver.received[-1][0], messages.SessionEnd)


def test_a_silent_publisher_is_reported(free_address):
    with pytest.raises(RecordingError, match="nobody sent no frame; is it acquiring"):
        ScanImageStream(
            "nobody", receive_messages(free_address(), 0.3), RecordingHints()
        )


def test_an_invalid_address_is_refused():
    with pytest.raises(AddressError, match="'microscope' is not an address"):
        next(receive_messages("microscope", 1.0))


def test_the_capture_command_writes_published_messages(tmp_path, free_address):
    address, out = free_address(), tmp_path / "a.rtrcap"
    with publish_frames(address):
        done = run_here("capture", address, "--out", out, "--messages", 5)
    assert done.returncode == 0, done.stderr
    assert f"5 messages of {address} written to" in done.stdout
    numbers = [json.loads(parts[1])["frameNumbers"] for _, parts in read_capture(out)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_the_capture_command_reports_a_silent_publisher(tmp_path, free_address):
    address, out = free_address(), tmp_path / "a.rtrcap"
    done = run_here("capture", address, "--out", out, "--timeout", 0.2)
    assert done.returncode == 2
    assert "published nothing for 0.2 s; is it acquiring?" in done.stderr


# -- Micro-Manager -------------------------------------------------------------------


@pytest.fixture
def core(monkeypatch):
    """A Micro-Manager core with a camera written in Python; no device drivers."""
    # Without this, pymmcore looks for Qt, which tests of the display may have started.
    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
    unicore = pytest.importorskip(
        "pymmcore_plus.experimental.unicore", reason="pymmcore-plus is not installed"
    )

    class Camera(unicore.CameraDevice):
        exposure_ms, n_images, pixel_type = 4.0, 40, np.uint16

        def get_exposure(self) -> float:
            return self.exposure_ms

        def set_exposure(self, exposure: float) -> None:
            self.exposure_ms = exposure

        def shape(self) -> tuple[int, int]:
            return SHAPE

        def dtype(self) -> type:
            return self.pixel_type

        def start_sequence(self, n, get_buffer):
            for number in range(min(n or self.n_images, self.n_images)):
                buffer = get_buffer(SHAPE, self.pixel_type)
                buffer[:] = number
                yield {}
                time.sleep(self.exposure_ms / 1000)

    core = unicore.UniMMCore()
    core.loadPyDevice("Camera", Camera())
    core.initializeDevice("Camera")
    core.setCameraDevice("Camera")
    yield core
    core.unloadAllDevices()


def test_frames_of_a_camera_reach_the_daemon(core, free_address):
    from rtrecon.interfaces.micromanager import MicroManagerCamera

    address = free_address()
    with FrameReceiver(address) as receiver:
        source = MicroManagerCamera(core, RecordingHints())
        assert (source.shape, source.dtype) == (SHAPE, np.uint16)
        assert source.rate_hz == pytest.approx(250.0)
        report = forward_live_source(source, address)
    frames = receiver.frames()
    assert (len(frames), report.frames_dropped) == (40, 0)
    assert receiver.received[0][0].source == "Micro-Manager camera Camera"
    assert [header.frame for header, _ in frames] == list(range(1, 41))
    assert [int(pixels[0, 0]) for _, pixels in frames] == list(range(40))
    assert np.all(np.diff([header.t for header, _ in frames]) > 0)
    assert not core.isSequenceRunning()


def test_the_camera_stops_when_the_source_is_closed(core):
    from rtrecon.interfaces.micromanager import MicroManagerCamera

    with MicroManagerCamera(core, RecordingHints(rate_hz=30.0)) as source:
        assert source.rate_hz == 30.0
        assert next(source.frames()).number == 1
    assert not core.isSequenceRunning()


def test_a_missing_configuration_is_reported(tmp_path):
    pytest.importorskip("pymmcore_plus", reason="pymmcore-plus is not installed")
    done = run_here("micromanager", tmp_path / "none.cfg")
    assert done.returncode == 2
    assert "none.cfg does not exist" in done.stderr.replace("\n", "")
