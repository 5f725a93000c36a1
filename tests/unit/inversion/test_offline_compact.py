"""The live method without the clock: it finds what was shown, and always the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.config import InvertSettings
from rtrecon.encoder.spectrum import SHAPE
from rtrecon.inversion.live.inverter import LiveInverter
from rtrecon.inversion.objective import Problem
from rtrecon.inversion.offline.compact import reconstruct_live, reconstruct_map
from rtrecon.inversion.offline.pixel_rates import scaled
from rtrecon.inversion.offline.target import Target
from tests.support import inversion_world as world

CLIP = world.clip()
HOP, WINDOW = 5, 35  # of the settings
FOUND, NOTHING = 0.55, 0.15  # pixel r


@pytest.fixture(scope="module")
def checkpoint():
    return world.checkpoint()


@pytest.fixture(scope="module")
def replay(checkpoint):
    return reconstruct_live(checkpoint, CLIP.target)


@pytest.fixture(scope="module")
def settled(checkpoint):
    return reconstruct_map(checkpoint, CLIP.target)


# -- replayed --------------------------------------------------------------------------


def test_the_replayed_movie_is_what_was_shown(replay):
    assert world.pixel_r(replay.final, CLIP.shown) > FOUND


def test_exchanged_neurons_replay_nothing(checkpoint):
    null = reconstruct_live(checkpoint, world.exchanged(CLIP.target))
    assert abs(world.pixel_r(null.final, CLIP.shown)) < NOTHING


def test_older_frames_are_better_known(replay):
    found = [world.pixel_r(replay.movies[lag], CLIP.shown) for lag in (6, 12, 34)]
    assert found == sorted(found)


def test_every_frame_shows_as_it_stood_at_that_age(checkpoint, replay):
    """Against the live inversion itself, hop by hop."""
    inverter = LiveInverter(Problem.of(checkpoint, InvertSettings()), WINDOW)
    target, told = (
        CLIP.target,
        scaled(checkpoint.calibration, CLIP.target.behavior_tensor()),
    )
    shown = {}
    for stop in range(HOP, len(target) + 1, HOP):
        part = slice(stop - HOP, stop)
        inverter.advance(target.recorded()[part], told[part])
        for step in range(13):
            inverter.step(step / 12)
        shown[stop] = inverter.frames()
    low = world.spectrum()
    for frame, stop in ((20, 25), (3, 10)):  # the last hop at which it is not older
        assert stop - 1 - frame <= 6 < stop - 1 - frame + HOP
        pixels = low.to_pixels(shown[stop])[frame - stop]
        np.testing.assert_allclose(replay.movies[6][frame], pixels, atol=1e-2)


def test_what_had_no_movie_yet_is_nan(replay):
    known = np.isfinite(replay.movies[3]).all((1, 2))
    # Hops of five end with frames of age 0 to 4: the oldest was never so young as 3.
    expected = np.arange(len(CLIP.target)) % HOP != 0
    expected[95:] = False  # after the last whole hop
    assert (known == expected).all()
    assert np.isnan(replay.final[95:]).all()
    assert np.isfinite(replay.final[:95]).all()


def test_it_predicts_neurons_that_it_never_used(checkpoint):
    kept = np.arange(world.N_NEURONS) % 10 != 0
    target = CLIP.target
    lost = np.where(kept, target.activity, np.nan)
    held_out = reconstruct_live(
        checkpoint, Target(target.activity, target.behavior, kept)
    )
    without = reconstruct_live(checkpoint, Target(lost, target.behavior))
    np.testing.assert_array_equal(held_out.final, without.final)
    part = slice(20, 95)
    predicted, did = (
        a[part, ~kept].ravel() for a in (held_out.predicted, target.activity)
    )
    assert np.corrcoef(predicted, did)[0, 1] > 0.3


def test_passes_are_counted(replay):
    assert replay.passes == 19 * 13


# -- settled ---------------------------------------------------------------------------


def test_the_settled_movie_is_what_was_shown(settled):
    assert settled.movie.shape == (len(CLIP.target), *SHAPE)
    assert world.pixel_r(settled.movie, CLIP.shown) > FOUND


def test_exchanged_neurons_settle_on_nothing(checkpoint):
    null = reconstruct_map(checkpoint, world.exchanged(CLIP.target))
    assert abs(world.pixel_r(null.movie, CLIP.shown)) < NOTHING


def test_the_objective_comes_to_rest(settled):
    assert settled.passes == 240
    assert len(settled.objective) == 120  # at the data's full weight
    assert settled.objective[-1] < min(settled.objective[:60])
    late = settled.objective[-10:]
    assert max(late) - min(late) < 0.01 * abs(late[-1])


@pytest.mark.parametrize("steps", [1, 5, 7])
def test_few_steps_are_taken_too(checkpoint, steps):
    target = world.clip(40).target
    told = []
    settled = reconstruct_map(
        checkpoint, target, steps, report=lambda *report: told.append(report)
    )
    assert settled.passes == steps
    assert np.isfinite(settled.movie).all()
    assert told[-1] == ("inverting", 1.0, f"{steps} steps")


def test_lost_activity_leaves_the_rest(checkpoint):
    lossy = CLIP.target.activity.copy()
    lossy[40:50] = np.nan
    target = Target(lossy, CLIP.target.behavior)
    for movie in (
        reconstruct_live(checkpoint, target).final[:95],
        reconstruct_map(checkpoint, target).movie,
    ):
        assert np.isfinite(movie).all()
        assert world.pixel_r(movie[:40], CLIP.shown[:40]) > FOUND - 0.1


# -- the same every time ---------------------------------------------------------------


def movies(checkpoint, seed):
    settings, target = InvertSettings(seed=seed), world.clip(40).target
    return [
        reconstruct_live(checkpoint, target, 4, settings).final,
        reconstruct_map(checkpoint, target, 20, settings).movie,
    ]


def test_the_seed_decides(checkpoint):
    one, same, other = (movies(checkpoint, seed) for seed in (1, 1, 2))
    for a, b, c in zip(one, same, other, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_the_checkpoints_own_temperature_unless_told(checkpoint):
    own, told = (
        Problem.of(checkpoint, InvertSettings(temperature=t)) for t in (None, 0.5)
    )
    assert torch.allclose(
        own.weight, torch.full((world.N_NEURONS,), 0.25 * world.COUNTS)
    )
    assert torch.allclose(
        told.weight, torch.full((world.N_NEURONS,), 0.5 * world.COUNTS)
    )


def test_the_prior_is_held_to_where_asked_for(checkpoint):
    learnt = Problem.of(checkpoint, InvertSettings())
    assert learnt.heard is checkpoint.calibration.heard
    assert Problem.of(checkpoint, InvertSettings(adaptive_prior=False)).heard is None
