"""The simulated world is like the real one, and its neurons are what they claim."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.simulate.behavior import BehaviorTraces
from rtrecon.simulate.microscope import make_imaged_field
from rtrecon.simulate.mouse import NEURON_KINDS, make_simulated_mouse
from rtrecon.simulate.movie import MEAN_GRAY, RATE_HZ, make_natural_movie
from rtrecon.simulate.session import (
    ImagedMouse,
    simulate_session,
    start_message_fields,
    stream_session,
)
from rtrecon.sources.video import read_clip
from rtrecon.testing.frame_receiver import FrameReceiver
from rtrecon.transport.senders import SessionSender

CLIP_FRAMES = 150
N_NEURONS = 120
REAL_CLIPS = ("bikes.mp4", "carphone_pristine.mp4", "nasa_13013.mp4", "realshort.mp4")

# what is measured -> the range that it has in recordings of mouse visual cortex
ACTIVITY = {
    "rate, spikes/s": (0.5, 3.0),
    "sd / mean of a neuron": (4.0, 7.0),
    "single-trial ceiling, r": (0.3, 0.5),
    "noise shared by two neurons, r": (0.01, 0.3),
}


@pytest.fixture(scope="module")
def movie():
    return make_natural_movie(10 * CLIP_FRAMES, seed=1)


@pytest.fixture(scope="module")
def real_clips(shared_data):
    return [read_clip(shared_data / "video" / name) for name in REAL_CLIPS]


@pytest.fixture(scope="module")
def world(movie):
    return ImagedMouse(
        make_simulated_mouse(N_NEURONS, 0, movie),
        make_imaged_field(N_NEURONS, 256, seed=0),
    )


@pytest.fixture(scope="module")
def session(world, movie):
    return simulate_session(world, movie, "clips", seed=1)


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


def test_clips_are_independent_and_begin_at_their_boundaries(movie):
    change = np.abs(np.diff(movie.astype(float), axis=0)).mean((1, 2))
    cuts = change[CLIP_FRAMES - 1 :: CLIP_FRAMES]
    assert len(cuts) == 9
    assert cuts.min() > 3 * np.median(change)


def test_the_same_seed_gives_the_same_movie():
    first = make_natural_movie(200, seed=5)
    assert first.shape == (200, 36, 64)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, make_natural_movie(200, seed=5))
    assert (first != make_natural_movie(200, seed=6)).mean() > 0.9


# -- the mouse ----------------------------------------------------------------------


def mean_correlation(a):
    r = np.corrcoef(a.T)
    return r[np.triu_indices(len(r), 1)].mean()


def test_simulated_activity_has_the_statistics_of_recordings(session):
    rate, spikes = session.response.rate, session.response.spikes
    noise = (spikes - rate).reshape(-1, 15, N_NEURONS).sum(1)  # half a second at a time
    ceiling = [np.corrcoef(a, b)[0, 1] for a, b in zip(rate.T, spikes.T, strict=True)]
    found = {
        "rate, spikes/s": spikes.mean() * RATE_HZ,
        "sd / mean of a neuron": np.median(spikes.std(0) / spikes.mean(0)),
        "single-trial ceiling, r": np.mean(ceiling),
        "noise shared by two neurons, r": mean_correlation(noise),
    }
    for name, (low, high) in ACTIVITY.items():
        assert low < found[name] < high, f"{name}: {found[name]:.3f}"


def test_a_mouse_keeps_its_tuning_while_trials_differ(world, movie):
    clip = movie[:CLIP_FRAMES]
    again = ImagedMouse(
        make_simulated_mouse(N_NEURONS, 0, movie),
        make_imaged_field(N_NEURONS, 256, seed=0),
    )
    one, same, other = (
        simulate_session(mouse, clip, "clip", seed).response.spikes
        for mouse, seed in ((world, 3), (again, 3), (world, 4))
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def calm(n_frames):
    return BehaviorTraces(*np.zeros((3, n_frames), np.float32))


def answers(mouse, cell, patterns):
    """Rate (frame,) of a cell at patterns (frame, 2304), the strongest at 60 levels."""
    levels = MEAN_GRAY + 60 * patterns / np.abs(patterns).max()
    movie = np.rint(levels).astype(np.uint8).reshape(-1, 36, 64)
    return mouse.simulate_response(movie, calm(len(movie)), seed=0).rate[:, cell]


def cells(mouse, kind, count=6):
    found = np.flatnonzero(mouse.kind == NEURON_KINDS.index(kind))[:count]
    assert len(found) == count
    return found


def phase_modulation(mouse, cell):
    """(max - min) / (max + min) of the answer to a flash, over its phase."""
    even, odd = mouse.filters[2 * cell : 2 * cell + 2]
    phases = np.arange(8)[:, None, None] * np.pi / 4
    flashes = np.zeros((8, 30, 2304))
    flashes[:, 14:] = np.cos(phases) * even + np.sin(phases) * odd
    peaks = answers(mouse, cell, flashes.reshape(-1, 2304)).reshape(8, 30).max(1)
    return np.ptp(peaks) / (peaks.max() + peaks.min())


def direction_preference(mouse, cell):
    """|a - b| / (a + b) of mean answers to its grating drifting one way and back."""
    even, odd = mouse.filters[2 * cell : 2 * cell + 2]
    phase = np.arange(90)[:, None] * 2 * np.pi * 3 / RATE_HZ  # 3 Hz
    there, back = (
        answers(mouse, cell, np.cos(way * phase) * even + np.sin(way * phase) * odd)
        for way in (1, -1)
    )
    return abs(there.mean() - back.mean()) / (there.mean() + back.mean())


def test_complex_cells_ignore_phase_and_simple_cells_do_not(world):
    mouse = world.mouse
    assert max(phase_modulation(mouse, cell) for cell in cells(mouse, "complex")) < 0.3
    assert min(phase_modulation(mouse, cell) for cell in cells(mouse, "simple")) > 0.7


@pytest.mark.parametrize("kind", ["direction", "direction-energy"])
def test_direction_cells_prefer_a_direction_and_complex_cells_do_not(world, kind):
    mouse = world.mouse
    preferences = [direction_preference(mouse, cell) for cell in cells(mouse, kind)]
    others = [direction_preference(mouse, cell) for cell in cells(mouse, "complex")]
    assert min(preferences) > 0.3
    assert max(others) < 0.1


def test_a_blob_cell_responds_only_to_both_blobs_together(world):
    mouse = world.mouse
    for cell in cells(mouse, "blobs"):
        # Patterns that only one of its filters sees.
        only = np.linalg.pinv(mouse.filters[2 * cell : 2 * cell + 2]).T
        flash = np.zeros((24, 1))
        flash[8:] = 1
        both, *single = (
            answers(mouse, cell, flash * pattern).max()
            for pattern in (only.sum(0), only[0], only[1])
        )
        assert both > 3 * max(single)


def test_a_surround_cell_prefers_a_spot_to_the_whole_screen(world):
    mouse = world.mouse
    for cell in cells(mouse, "surround"):
        filter_ = mouse.filters[2 * cell]
        center = filter_[np.abs(filter_).argmax()]
        spot = np.where(filter_ * center > 0, np.sign(center), 0)
        flash = np.zeros((24, 1))
        flash[8:] = 1
        in_spot = answers(mouse, cell, flash * spot).max()
        everywhere = answers(mouse, cell, flash * np.sign(center) * np.ones(2304)).max()
        assert in_spot > 1.5 * everywhere


def test_responses_are_causal(world, movie):
    clip = movie[:60].copy()
    before = world.mouse.simulate_response(clip, calm(60), seed=0).rate
    clip[40:] = 255 - clip[40:]
    after = world.mouse.simulate_response(clip, calm(60), seed=0).rate
    np.testing.assert_array_equal(before[:40], after[:40])
    assert np.abs(after[40:] - before[40:]).max() > 0.01


# -- the session --------------------------------------------------------------------


def test_a_simulated_session_sends_frames_stimulus_and_behavior_in_order(free_address):
    movie = make_natural_movie(8, seed=0)
    mouse = make_simulated_mouse(10, 0, make_natural_movie(300, seed=1))
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
    assert "rtrecon.simulate.mouse" in loaded
    strangers = ("rtrecon.encoder", "rtrecon.inversion", "rtrecon.quality", "torch")
    assert [name for name in loaded if name.startswith(strangers)] == []
