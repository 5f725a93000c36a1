"""Movies and held-out neurons of known quality, judged hop by hop."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.inversion.live.quality import WINDOW_FRAMES, Judge, RunningVideo

HOP, WINDOW = 6, 36
N = 20
HELD_OUT = np.arange(N) < 5
ENOUGH_HOPS = 15 + WINDOW // HOP  # a block is judged once it holds 90 frames
RNG = np.random.default_rng(0)
STIMULI = RNG.integers(0, 256, (900, 36, 64)).astype(np.uint8)
ACTIVITY = RNG.gamma(1.0, 1.0, (900, N))


def noise(like, share):
    """What is left of a movie when so much of its variance is noise."""
    shown = like - like.mean()
    other = RNG.normal(0, shown.std(), like.shape)
    return 128 + np.sqrt(1 - share) * shown + np.sqrt(share) * other


class World:
    """A session in which window frames k hops old hold so much noise."""

    def __init__(self, noise_by_block=(0.0,) * 6, late_frames=0):
        self.judge = Judge(HELD_OUT, HOP, WINDOW)
        self.noise_by_block = noise_by_block
        self.late_frames = late_frames
        self.newest = WINDOW - 1

    def run(self, hops, shown=True, predicted=ACTIVITY, recorded=ACTIVITY):
        for _ in range(hops):
            self.newest += HOP
            window = slice(self.newest + 1 - WINDOW, self.newest + 1)
            if shown:
                for index in range(self.newest + 1 - HOP, self.newest + 1):
                    self.judge.saw(index, STIMULI[index])
            self.judge.hop(
                self.newest, self.movie(window), predicted[window], recorded[window]
            )
        return self.judge.verdict()

    def movie(self, window):
        made = STIMULI[window.start - self.late_frames :][:WINDOW].astype(float)
        blocks = made.reshape(-1, HOP, 36, 64)[::-1]  # newest first
        noisy = [noise(*pair) for pair in zip(blocks, self.noise_by_block, strict=True)]
        return np.concatenate(noisy[::-1])


def test_a_perfect_movie_is_perfect_at_every_age():
    verdict = World().run(ENOUGH_HOPS)
    np.testing.assert_allclose(verdict.pixel_by_block, np.ones(6), atol=1e-4)
    assert verdict.pixel == verdict.pixel_by_block[-1]
    assert verdict.activity == pytest.approx(1)


def test_every_age_is_judged_by_itself():
    noise_by_block = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)
    verdict = World(noise_by_block).run(ENOUGH_HOPS)
    expected = np.sqrt(1 - np.array(noise_by_block))
    np.testing.assert_allclose(verdict.pixel_by_block, expected, atol=0.01)


def test_a_movie_that_is_a_frame_late_is_not_good():
    assert abs(World(late_frames=1).run(ENOUGH_HOPS).pixel) < 0.02


def test_nothing_is_said_before_enough_was_seen():
    world = World()
    few = world.run(14)
    assert few.activity is None
    assert few.pixel is None
    assert world.run(1).activity is not None


def test_without_a_stimulus_only_the_neurons_speak():
    verdict = World().run(ENOUGH_HOPS, shown=False)
    assert verdict.activity == pytest.approx(1)
    assert verdict.pixel_by_block == [None] * 6
    assert verdict.null_pixel is None


def test_only_held_out_neurons_are_asked():
    predicted = np.where(HELD_OUT, ACTIVITY, RNG.gamma(1.0, 1.0, ACTIVITY.shape))
    assert World().run(ENOUGH_HOPS, predicted=predicted).activity == pytest.approx(1)
    predicted = np.where(HELD_OUT, RNG.gamma(1.0, 1.0, ACTIVITY.shape), ACTIVITY)
    assert abs(World().run(ENOUGH_HOPS, predicted=predicted).activity) < 0.2


def test_lost_activity_says_nothing():
    lost = np.full_like(ACTIVITY, np.nan)
    world = World()
    assert world.run(ENOUGH_HOPS, recorded=lost).activity is None
    assert world.run(ENOUGH_HOPS).activity == pytest.approx(1)


def test_the_null_is_judged_apart():
    world = World()
    world.run(ENOUGH_HOPS)
    for newest in range(WINDOW - 1, WINDOW - 1 + HOP * 30, HOP):
        window = slice(newest + 1 - WINDOW, newest + 1)
        for index in range(window.start, window.stop):
            world.judge.saw(index, STIMULI[index])
        movie = noise(STIMULI[window].astype(float), 1.0)
        exchanged = ACTIVITY[window][:, ::-1]
        world.judge.null_hop(newest, movie, ACTIVITY[window], exchanged)
    verdict = world.judge.verdict()
    assert abs(verdict.null_pixel) < 0.02
    assert abs(verdict.null_activity) < 0.2
    assert verdict.pixel == pytest.approx(1, abs=1e-4)
    assert verdict.activity == pytest.approx(1)


def test_a_new_session_begins_with_nothing():
    world = World()
    world.run(ENOUGH_HOPS)
    world.judge.begin()
    verdict = world.judge.verdict()
    assert (verdict.activity, verdict.pixel, verdict.null_pixel) == (None, None, None)


def test_only_the_newest_frames_count():
    running = RunningVideo()
    for frame in STIMULI[:100]:
        running.update(frame, 255 - frame)
    assert running.r() == pytest.approx(-1)
    a, b = STIMULI[:WINDOW_FRAMES, :8], STIMULI[-WINDOW_FRAMES:, :8] // 2
    b = a // 3 + b
    for one, other in zip(a, b, strict=True):
        running.update(one, other)
    assert running.r() == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize("level", [0, 127, 100.3, 1 / 3, 0.1, 254.9])
def test_a_movie_that_shows_nothing_has_no_correlation(level):
    running = RunningVideo()
    for frame in STIMULI[:100]:
        running.update(frame, np.full(frame.shape, level, np.float32))
    assert running.r() is None
