"""Simulated movies and neurons have the statistics of natural ones and real neurons."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.simulate.behavior import BehaviorTraces
from rtrecon.simulate.imaged_mouse import ImagedMouse
from rtrecon.simulate.microscope import make_imaged_field
from rtrecon.simulate.movie import MEAN_GRAY, RATE_HZ, make_natural_movie
from rtrecon.simulate.session import simulate_session
from rtrecon.simulate.subjects.simulated import NEURON_KINDS, make_simulated_mouse
from rtrecon.simulate.subjects.subject import SubjectOptions

CLIP_FRAMES, N_CLIPS = 150, 6
N_NEURONS = 120
OPTIONS = SubjectOptions(n_neurons=N_NEURONS)

# Statistic -> its range in recordings of mouse visual cortex.
ACTIVITY = {
    "rate, spikes/s": (0.5, 3.0),
    "sd / mean of a neuron": (4.0, 7.0),
    "single-trial ceiling, r": (0.3, 0.5),
    "noise shared by two neurons, r": (0.01, 0.3),
}


@pytest.fixture(scope="module")
def movie():
    return make_natural_movie(N_CLIPS * CLIP_FRAMES, seed=1)


@pytest.fixture(scope="module")
def world(movie):
    return ImagedMouse(
        make_simulated_mouse(OPTIONS, movie),
        make_imaged_field(N_NEURONS, 256, seed=0),
    )


@pytest.fixture(scope="module")
def session(world, movie):
    return simulate_session(world, movie, "clips", seed=1)


# -- the movie ----------------------------------------------------------------------


def test_clips_are_independent_and_begin_at_their_boundaries(movie):
    change = np.abs(np.diff(movie.astype(float), axis=0)).mean((1, 2))
    cuts = change[CLIP_FRAMES - 1 :: CLIP_FRAMES]
    assert len(cuts) == N_CLIPS - 1
    assert cuts.min() > 3 * np.median(change)


def test_the_same_seed_gives_the_same_movie():
    first = make_natural_movie(40, seed=5)
    assert first.shape == (40, 36, 64)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, make_natural_movie(40, seed=5))
    assert (first != make_natural_movie(40, seed=6)).mean() > 0.9


# -- the mouse ----------------------------------------------------------------------


def average_pair_correlation(a):
    r = np.corrcoef(a.T)
    return r[np.triu_indices(len(r), 1)].mean()


def test_simulated_activity_has_the_statistics_of_recordings(session):
    rate, spikes = session.response.rate, session.response.spikes
    noise = (spikes - rate).reshape(-1, 15, N_NEURONS).sum(1)  # half a second at a time
    ceiling = [np.corrcoef(a, b)[0, 1] for a, b in zip(rate.T, spikes.T, strict=True)]
    statistics = {
        "rate, spikes/s": spikes.mean() * RATE_HZ,
        "sd / mean of a neuron": np.median(spikes.std(0) / spikes.mean(0)),
        "single-trial ceiling, r": np.mean(ceiling),
        "noise shared by two neurons, r": average_pair_correlation(noise),
    }
    for name, (low, high) in ACTIVITY.items():
        assert low < statistics[name] < high, f"{name}: {statistics[name]:.3f}"


def test_a_mouse_keeps_its_tuning_while_trials_differ(world, movie):
    clip = movie[:CLIP_FRAMES]
    again = ImagedMouse(
        make_simulated_mouse(OPTIONS, movie),
        make_imaged_field(N_NEURONS, 256, seed=0),
    )
    first, same, other = (
        simulate_session(mouse, clip, "clip", seed).response.spikes
        for mouse, seed in ((world, 3), (again, 3), (world, 4))
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def make_calm_behavior(n_frames):
    return BehaviorTraces(*np.zeros((3, n_frames), np.float32))


def respond_to(mouse, cell, patterns):
    """Return the rate (frame,) of a cell; patterns (frame, 2304) reach 60 levels."""
    levels = MEAN_GRAY + 60 * patterns / np.abs(patterns).max()
    movie = np.rint(levels).astype(np.uint8).reshape(-1, 36, 64)
    return mouse.respond(movie, make_calm_behavior(len(movie)))[:, cell]


def select_cells(mouse, kind, count=6):
    cells = np.flatnonzero(mouse.kind == NEURON_KINDS.index(kind))[:count]
    assert len(cells) == count
    return cells


def measure_phase_modulation(mouse, cell):
    """Return (max - min) / (max + min) of the responses to a flash, over its phase."""
    even, odd = mouse.filters[2 * cell : 2 * cell + 2]
    phases = np.arange(8)[:, None, None] * np.pi / 4
    flashes = np.zeros((8, 30, 2304))
    flashes[:, 14:] = np.cos(phases) * even + np.sin(phases) * odd
    peaks = respond_to(mouse, cell, flashes.reshape(-1, 2304)).reshape(8, 30).max(1)
    return np.ptp(peaks) / (peaks.max() + peaks.min())


def measure_direction_preference(mouse, cell):
    """Return |a - b| / (a + b) of the mean responses to opposite directions."""
    even, odd = mouse.filters[2 * cell : 2 * cell + 2]
    phase = np.arange(90)[:, None] * 2 * np.pi * 3 / RATE_HZ  # 3 Hz
    there, back = (
        respond_to(
            mouse, cell, np.cos(sign * phase) * even + np.sin(sign * phase) * odd
        )
        for sign in (1, -1)
    )
    return abs(there.mean() - back.mean()) / (there.mean() + back.mean())


def test_complex_cells_ignore_phase_and_simple_cells_do_not(world):
    mouse = world.mouse
    assert (
        max(
            measure_phase_modulation(mouse, cell)
            for cell in select_cells(mouse, "complex")
        )
        < 0.3
    )
    assert (
        min(
            measure_phase_modulation(mouse, cell)
            for cell in select_cells(mouse, "simple")
        )
        > 0.7
    )


def list_direction_preferences(mouse, kind):
    cells = select_cells(mouse, kind)
    return [measure_direction_preference(mouse, cell) for cell in cells]


@pytest.mark.parametrize("kind", ["direction", "direction-energy"])
def test_direction_cells_prefer_a_direction(world, kind):
    assert min(list_direction_preferences(world.mouse, kind)) > 0.3


def test_complex_cells_prefer_no_direction(world):
    assert max(list_direction_preferences(world.mouse, "complex")) < 0.1


def test_a_blob_cell_responds_only_to_both_blobs_together(world):
    mouse = world.mouse
    for cell in select_cells(mouse, "blobs"):
        # Patterns that only one of its filters sees.
        only = np.linalg.pinv(mouse.filters[2 * cell : 2 * cell + 2]).T
        flash = np.zeros((24, 1))
        flash[8:] = 1
        both, *single = (
            respond_to(mouse, cell, flash * pattern).max()
            for pattern in (only.sum(0), only[0], only[1])
        )
        assert both > 3 * max(single)


def test_a_surround_cell_prefers_a_spot_to_the_whole_screen(world):
    mouse = world.mouse
    for cell in select_cells(mouse, "surround"):
        filter_ = mouse.filters[2 * cell]
        center = filter_[np.abs(filter_).argmax()]
        spot = np.where(filter_ * center > 0, np.sign(center), 0)
        flash = np.zeros((24, 1))
        flash[8:] = 1
        in_spot = respond_to(mouse, cell, flash * spot).max()
        everywhere = respond_to(
            mouse, cell, flash * np.sign(center) * np.ones(2304)
        ).max()
        assert in_spot > 1.5 * everywhere


def test_responses_are_causal(world, movie):
    clip = movie[:60].copy()
    before = world.mouse.respond(clip, make_calm_behavior(60))
    clip[40:] = 255 - clip[40:]
    after = world.mouse.respond(clip, make_calm_behavior(60))
    np.testing.assert_array_equal(before[:40], after[:40])
    assert np.abs(after[40:] - before[40:]).max() > 0.01
