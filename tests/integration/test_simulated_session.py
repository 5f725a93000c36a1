"""Simulated movies are like real clips, and a simulated session is sent in order."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.simulate.imaged_mouse import ImagedMouse
from rtrecon.simulate.microscope import make_imaged_field
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import (
    simulate_session,
    start_message_fields,
    stream_session,
)
from rtrecon.simulate.subjects.simulated import make_simulated_mouse
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.sources.video import read_clip
from rtrecon.testing.frame_receiver import FrameReceiver
from rtrecon.transport.senders import SessionSender

CLIP_FRAMES = 150
REAL_CLIPS = ("bikes.mp4", "carphone_pristine.mp4", "nasa_13013.mp4", "realshort.mp4")


@pytest.fixture(scope="module")
def movie():
    return make_natural_movie(10 * CLIP_FRAMES, seed=1)


@pytest.fixture(scope="module")
def real_clips(shared_data):
    return [read_clip(shared_data / "video" / name) for name in REAL_CLIPS]


# -- the movie ----------------------------------------------------------------------


def slope(frames):
    """Power by spatial frequency is frequency to the power of what is returned."""
    frames = frames - frames.mean((1, 2), keepdims=True, dtype=float)
    window = np.hanning(36)[:, None] * np.hanning(64)
    power = (np.abs(np.fft.fft2(frames * window)) ** 2).mean(0)
    cycles = np.hypot(np.fft.fftfreq(36)[:, None], np.fft.fftfreq(64))
    bins = np.digitize(cycles, np.geomspace(0.04, 0.4, 8))
    means = [(cycles[bins == i].mean(), power[bins == i].mean()) for i in range(1, 8)]
    return np.polyfit(*np.log(means).T, 1)[0]


def next_frame_correlation(frames):
    """The median over frames of r with the frame after."""
    pairs = itertools.pairwise(frames)
    r = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs if a.std() > 1]
    return np.median(r)


def test_natural_movies_have_the_spatial_spectrum_of_real_clips(movie, real_clips):
    real = [slope(clip) for clip in real_clips]
    assert min(real) - 0.3 < slope(movie[::10]) < max(real) + 0.3


def test_natural_movies_change_as_fast_as_real_clips(movie, real_clips):
    real = [next_frame_correlation(clip) for clip in real_clips]
    assert min(real) - 0.05 < next_frame_correlation(movie) < max(real)


# -- the session --------------------------------------------------------------------


def test_a_simulated_session_sends_frames_stimulus_and_behavior_in_order(free_address):
    movie = make_natural_movie(8, seed=0)
    mouse = make_simulated_mouse(
        SubjectOptions(n_neurons=10), make_natural_movie(300, seed=1)
    )
    world = ImagedMouse(mouse, make_imaged_field(10, side_px=64, seed=0))
    session = simulate_session(world, movie, "short", seed=0)
    address = free_address()
    with FrameReceiver(address) as listener:
        sender = SessionSender(address, **start_message_fields(session))
        assert sender.wait_for_daemon()
        stream_session(session, sender)
        sender.close(linger_s=5)
    start, *rest = [
        m for m in listener.received if not isinstance(m[0], messages.Frame)
    ]
    frames = listener.frames()
    assert (start[0].rate_hz, start[0].shape) == (RATE_HZ, (64, 64))
    assert [header.frame for header, _ in frames] == list(range(1, 9))
    blank = np.empty((64, 64), np.int16)
    for index, (_, pixels) in enumerate(frames):
        expected = session.recording.render_frame(index, blank)
        np.testing.assert_array_equal(pixels, expected)
    shown = [
        pixels for header, pixels in rest if isinstance(header, messages.StimulusFrame)
    ]
    np.testing.assert_array_equal(np.stack(shown), movie)
    speeds = [
        h.running_speed for h, _ in rest if isinstance(h, messages.BehaviorSample)
    ]
    np.testing.assert_allclose(speeds, session.behavior.running_speed)
    assert isinstance(rest[-1][0], messages.SessionEnd)
    assert (rest[-1][0].frames, rest[-1][0].dropped) == (8, 0)


IMPORT_AND_LIST = "import sys, rtrecon.simulate.session; print(*sys.modules)"


def test_the_simulator_shares_no_code_with_encoder_and_inversion():
    command = [sys.executable, "-c", IMPORT_AND_LIST]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "rtrecon.simulate.subjects.registry" in loaded
    strangers = ("rtrecon.encoder", "rtrecon.inversion", "rtrecon.quality", "torch")
    assert [name for name in loaded if name.startswith(strangers)] == []
