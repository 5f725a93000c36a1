"""`rtrecon replay` sends films, and folders that are being written, to a daemon."""

from __future__ import annotations

import threading
import time

import av
import numpy as np
import pytest
import tifffile

from rtrecon.testing.daemon_process import DaemonProcess, run_command
from rtrecon.testing.frame_receiver import FrameReceiver
from rtrecon.testing.simulated_microscope import make_small_settings
from tests.support.command_line import run_here

SHAPE = (32, 40)


def make_image(value: int) -> np.ndarray:
    return np.full(SHAPE, value, np.uint16)


def write_film(path) -> None:
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SHAPE, "yuv420p"
        for k in range(4):
            image = np.full((*SHAPE, 3), 50 + 30 * k, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        film.mux(stream.encode())


def test_a_film_is_sent_with_its_interval_and_scale(tmp_path, free_address):
    write_film(tmp_path / "a.mp4")
    address = free_address()
    with FrameReceiver(address) as receiver:
        options = ("--interval-s", 600, "--scale-um", 0.65, "--speed", 0)
        done = run_here("replay", tmp_path / "a.mp4", "--to", address, *options)
        assert done.returncode == 0, done.stderr
        frames = receiver.frames()
    start = receiver.received[0][0]
    assert start.rate_hz == pytest.approx(1 / 600)
    assert start.meta == {"um_per_px": 0.65}
    assert [header.t for header, _ in frames] == pytest.approx([0, 600, 1200, 1800])
    assert np.all(np.diff([float(pixels.mean()) for _, pixels in frames]) > 20)
    assert "one color is read" in done.stderr.replace("\n", " ")


def test_a_folder_is_followed_while_it_is_written(tmp_path, free_address):
    folder, address = tmp_path / "run", free_address()
    folder.mkdir()

    def write(number: int) -> None:
        path = folder / f"a_w1GFP_s1_t{number}.TIF"
        tifffile.imwrite(path, make_image(number), photometric="minisblack")

    def write_later() -> None:
        for number in (3, 4):
            time.sleep(0.5)
            write(number)

    for number in (1, 2):
        write(number)
    writer = threading.Thread(target=write_later)
    with FrameReceiver(address) as receiver:
        writer.start()
        options = ("--follow", "--rate-hz", 10, "--timeout", 2, "--scale-um", 1)
        done = run_here("replay", folder, "--to", address, *options)
        writer.join()
        frames = receiver.frames()
    assert done.returncode == 0, done.stderr
    assert [(h.frame, int(pixels[0, 0])) for h, pixels in frames] == [
        (k, k) for k in (1, 2, 3, 4)
    ]


def test_rate_and_interval_together_are_refused(tmp_path):
    options = ("--interval-s", 600, "--rate-hz", 30)
    done = run_here("replay", tmp_path / "a.tif", *options)
    assert done.returncode == 2
    assert "--rate-hz and --interval-s say the same" in done.stderr.replace("\n", " ")


def test_a_time_lapse_is_replayed_into_a_daemon_as_fast_as_it_takes_it(tmp_path):
    settings = make_small_settings(tmp_path)
    rng = np.random.default_rng(0)
    film = rng.integers(0, 900, (12, 128, 128)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", film, photometric="minisblack")
    with DaemonProcess(tmp_path, settings) as daemon:
        network = settings.network
        done = run_command(
            *("replay", tmp_path / "a.tif", "--to", network.frames),
            *("--control", network.control, "--interval-s", 1200, "--speed", 0),
        )
        assert done.returncode == 0, done.stderr
        daemon.wait_until(lambda: daemon.newest_health().frames_processed == 12)
        [session] = daemon.events_named("session")
    assert "one frame in 20 min" in session.message
    assert daemon.newest_health().lost["reference"] == 0
