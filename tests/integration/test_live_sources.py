"""Live sources: what is published, what was captured of it, and cameras."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import zmq

from rtrecon import sources
from rtrecon.protocol import messages
from rtrecon.replay.recording import forward
from rtrecon.sources.message_capture import read_capture, write_capture
from rtrecon.sources.recording import Hints, RecordingError
from rtrecon.sources.scanimage_stream import PARSERS, Published, parse_guess, subscribed
from rtrecon.testing.daemon_process import rtrecon
from rtrecon.testing.listener import Listener
from rtrecon.transport.sockets import AddressError

SHAPE, RATE_HZ, SILENCE_S = (12, 16), 50.0, 10.0
MESSAGES = [[b"topic", b"", bytes(range(256))], [b"one part"], []]


def message(number: int, channels=(1, 3), **more: object) -> list[bytes]:
    said = {
        "frameNumbers": number,
        "frameTimestamps_sec": number / RATE_HZ,
        "linesPerFrame": SHAPE[0],
        "pixelsPerLine": SHAPE[1],
        "channelSave": list(channels),
        "somethingElse": {"nobody": "needs"},
    }
    images = [image(number, channel).tobytes() for channel in channels]
    return [b"frame", json.dumps(said | more).encode(), *images]


def image(number: int, channel: int) -> np.ndarray:
    return np.full(SHAPE, 10 * number + channel, "<i2")


@contextmanager
def publishing(address: str):
    """Somebody who publishes a frame now and then, as long as the context lasts."""
    context = zmq.Context()
    over = threading.Event()

    def publish() -> None:
        socket = context.socket(zmq.PUB)
        socket.bind(address)
        number = 0
        while not over.wait(0.002):
            number += 1
            socket.send_multipart(message(number))
        socket.close(linger=0)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        context.term()


# -- captured messages ---------------------------------------------------------------


def test_captured_messages_come_back_as_they_were(tmp_path):
    path, told = tmp_path / "a.rtrcap", []
    before_s = time.time()
    assert write_capture(path, MESSAGES, told.append) == 3
    read = list(read_capture(path))
    assert [parts for _, parts in read] == MESSAGES
    assert all(before_s <= time_s <= time.time() for time_s, _ in read)
    assert told == [1, 2, 3]


def test_a_capture_that_was_cut_keeps_its_whole_messages(tmp_path):
    path = tmp_path / "a.rtrcap"
    write_capture(path, MESSAGES, lambda done: None)
    whole = path.read_bytes()
    sizes = {len(list(read_capture(path)))}
    for size in range(8, len(whole)):
        path.write_bytes(whole[:size])
        sizes.add(len(read := list(read_capture(path))))
        assert [parts for _, parts in read] == MESSAGES[: len(read)]
    assert sizes == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "was not written by 'rtrecon capture'"),
        (b"RTRCAP1\n" + b"\xff" * 12, "a message of 4294967295 parts"),
        (b"RTRCAP1\n" + bytes(8) + b"\1\0\0\0" + b"\xff" * 8, "a part of 1844674407"),
    ],
)
def test_a_damaged_capture_is_refused(tmp_path, content, words):
    (tmp_path / "a.rtrcap").write_bytes(content)
    with pytest.raises(RecordingError, match=words):
        list(read_capture(tmp_path / "a.rtrcap"))


def test_a_capture_is_a_recording(tmp_path):
    path = tmp_path / "a.rtrcap"
    write_capture(path, [message(n) for n in range(1, 60)], lambda done: None)
    with sources.open(path) as recording:
        frames = list(recording.frames())
        assert (recording.shape, recording.channels) == (SHAPE, (1, 3))
        assert recording.rate_hz == pytest.approx(RATE_HZ)
    expected = [(number, channel) for number in range(1, 60) for channel in (1, 3)]
    assert [(frame.number, frame.channel) for frame in frames] == expected
    for frame in frames:
        assert np.array_equal(frame.pixels, image(frame.number, frame.channel))


# what is wrong with a message -> words of the sentence
REFUSED = {
    "no JSON": ([b"frame", b"1234"], r"2 parts \(5, 4 bytes\) .*no part of it is JSON"),
    "not JSON after all": ([b"{frame"], "is not understood: JSON is malformed"),
    "no number": ([b'{"linesPerFrame": 12}'], "missing required field `frameNumbers`"),
    "too few images": (message(1)[:-1], "no int16 image for each channel"),
    "too small images": (message(1, linesPerFrame=13), "no int16 image for each"),
    "a size below nothing": (
        message(1, linesPerFrame=-12, pixelsPerLine=-16),
        "Expected `int` >= 1",
    ),
    "pixels of another kind": (message(1, dataType="float64"), "no float64 image"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_message_that_is_not_understood_is_named(case):
    parts, words = REFUSED[case]
    with pytest.raises(RecordingError, match=words) as refusal:
        parse_guess(parts)
    assert "write some to a file with 'rtrecon capture'" in str(refusal.value)


# -- what is published ---------------------------------------------------------------


def test_published_frames_are_passed_on(free_address):
    address, to = free_address(), free_address()
    with publishing(address), Listener(to) as listener:
        coming = subscribed(address, SILENCE_S)
        hints = Hints(channel=3, rate_hz=RATE_HZ)
        source = Published("a test", coming, PARSERS["guess"], hints)
        assert (source.shape, source.channels) == (SHAPE, (3,))

        def enough(done: int, total: int | None) -> None:
            assert total is None
            if done == 50:
                source.close()  # as the end of an acquisition

        report = forward(source, to, on_progress=enough)
    frames = listener.frames()
    assert report.frames_sent == len(frames) >= 50 - report.frames_dropped
    for header, pixels in frames:
        assert header.channel == 3
        assert np.array_equal(pixels, image(header.frame, 3))
    assert isinstance(listener.messages[-1][0], messages.End)


def test_silence_is_told(free_address):
    with pytest.raises(RecordingError, match="nobody sent no frame; is it acquiring"):
        Published("nobody", subscribed(free_address(), 0.3), parse_guess, Hints())


def test_what_is_no_address_is_refused():
    with pytest.raises(AddressError, match="'microscope' is not an address"):
        next(subscribed("microscope", 1.0))


def test_the_capture_command_writes_what_is_published(tmp_path, free_address):
    address, out = free_address(), tmp_path / "a.rtrcap"
    with publishing(address):
        done = rtrecon("capture", address, "--out", out, "--messages", 5)
    assert done.returncode == 0, done.stderr
    assert f"5 messages of {address} written to" in done.stdout
    numbers = [json.loads(parts[1])["frameNumbers"] for _, parts in read_capture(out)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_a_silent_publisher_is_told_by_the_command(tmp_path, free_address):
    address, out = free_address(), tmp_path / "a.rtrcap"
    done = rtrecon("capture", address, "--out", out, "--silence", 0.2)
    assert done.returncode == 2
    assert "published nothing for 0.2 s; is it acquiring?" in done.stderr


# -- Micro-Manager -------------------------------------------------------------------


@pytest.fixture
def core(monkeypatch):
    """A Micro-Manager core with a camera written in Python; no device drivers."""
    # Else it looks for Qt, which tests of the display may have started here.
    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
    unicore = pytest.importorskip(
        "pymmcore_plus.experimental.unicore", reason="pymmcore-plus is not installed"
    )

    class Camera(unicore.CameraDevice):
        exposure_ms, n_images, kind = 4.0, 40, np.uint16

        def get_exposure(self) -> float:
            return self.exposure_ms

        def set_exposure(self, exposure: float) -> None:
            self.exposure_ms = exposure

        def shape(self) -> tuple[int, int]:
            return SHAPE

        def dtype(self) -> type:
            return self.kind

        def start_sequence(self, n, get_buffer):
            for number in range(min(n or self.n_images, self.n_images)):
                buffer = get_buffer(SHAPE, self.kind)
                buffer[:] = number
                yield {}
                time.sleep(self.exposure_ms / 1000)

    core = unicore.UniMMCore()
    core.loadPyDevice("Camera", Camera())
    core.initializeDevice("Camera")
    core.setCameraDevice("Camera")
    yield core
    core.unloadAllDevices()


def test_a_camera_reaches_the_daemon(core, free_address):
    from rtrecon.interfaces.micromanager import MicroManager

    address = free_address()
    with Listener(address) as listener:
        source = MicroManager(core, Hints())
        assert (source.shape, source.dtype) == (SHAPE, np.uint16)
        assert source.rate_hz == pytest.approx(250.0)
        report = forward(source, address)
    frames = listener.frames()
    assert (len(frames), report.frames_dropped) == (40, 0)
    assert listener.messages[0][0].source == "Micro-Manager camera Camera"
    assert [header.frame for header, _ in frames] == list(range(1, 41))
    assert [int(pixels[0, 0]) for _, pixels in frames] == list(range(40))
    assert np.all(np.diff([header.t for header, _ in frames]) > 0)
    assert not core.isSequenceRunning()


def test_a_camera_stops_when_nobody_wants_more(core):
    from rtrecon.interfaces.micromanager import MicroManager

    with MicroManager(core, Hints(rate_hz=30.0)) as source:
        assert source.rate_hz == 30.0
        assert next(source.frames()).number == 1
    assert not core.isSequenceRunning()


def test_a_configuration_that_is_not_there_is_told(tmp_path):
    pytest.importorskip("pymmcore_plus", reason="pymmcore-plus is not installed")
    done = rtrecon("micromanager", tmp_path / "none.cfg")
    assert done.returncode == 2
    assert "none.cfg does not exist" in done.stderr.replace("\n", "")
