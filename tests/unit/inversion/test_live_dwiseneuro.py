"""The published encoder inverted live: the windows asked, the slope, what is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.dwiseneuro.inference import SPAN, Published
from rtrecon.encoder.dwiseneuro.live import answering, measured_reach, pixels
from rtrecon.inversion.live.inverter import LiveInverter
from rtrecon.inversion.objective import Objective
from rtrecon.protocol.behavior import BEHAVIOR
from tests.support import dwiseneuro_live_world as world
from tests.support.dwiseneuro_live_world import LOW, MEAN, N_NEURONS, PAST, SD, USUAL
from tests.support.streaming import Pace

WINDOW, HOP = 20, 5
AS_MOVIES = torch.ones(LOW.n_coef)
streamed = Pace(HOP, steps=5).streamed
N_FRAMES = PAST + 50


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


# -- which windows are asked -----------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 5, 16, 31, 32])
@pytest.mark.parametrize("n_frames", [1, 2, 6, 33, 35, 64])
def test_every_frame_is_answered_by_windows_that_end_inside(n_frames: int, stride: int):
    frames = answering(PAST + n_frames, stride)
    assert (frames.diff(dim=1) == 2).all()
    assert frames.min() >= 0
    newest = frames[:, -1]
    assert PAST <= newest.min() <= newest.max() == PAST + n_frames - 1
    assert set(range(PAST, PAST + n_frames)) <= set(frames.flatten().tolist())
    assert len(set(newest.tolist())) == len(newest)


# frames in the window, stride -> windows that go through the encoder
COST = {(35, 1): 35, (35, 8): 10, (35, 16): 6, (35, 32): 4, (30, 30): 2}


@pytest.mark.parametrize("case", COST)
def test_few_windows_are_enough(case):
    n_frames, stride = case
    assert len(answering(PAST + n_frames, stride)) == COST[case]


# -- what is answered ------------------------------------------------------------------


def whole(n_frames: int) -> torch.Tensor:
    """What the published encoder answers (T, n), with all windows of a whole movie."""
    video = pixels(world.movie(n_frames), LOW.basis)
    told = world.raw(world.behavior(n_frames))
    return Published(world.models()).rates(video, told)


def test_behind_a_frozen_past_the_answer_is_that_to_the_whole_movie():
    n_frames, n_asked = PAST + 50, 20
    recent = slice(n_frames - PAST - n_asked, None)
    asked = world.movie(n_frames)[recent], world.behavior(n_frames)[recent]
    answer = world.live(stride_frames=1, gain=2.0).expect(*asked)
    expected = 2 * whole(n_frames)[-n_asked:] + 0.01
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-3)


def test_windows_left_out_change_little():
    asked = world.movie(PAST + 35), world.behavior(PAST + 35)
    every, some = (world.live(stride).expect(*asked) for stride in (1, 16))
    assert not torch.equal(every, some)
    apart = (some - every).square().mean().sqrt()
    assert apart < 0.25 * every.std()


def test_several_models_answer_their_mean():
    asked = world.movie(PAST + 10), world.behavior(PAST + 10)
    together = world.live(seeds=(0, 1)).expect(*asked)
    alone = [world.live(seeds=(seed,)).expect(*asked) for seed in (0, 1)]
    assert not torch.allclose(*alone, rtol=0.1)
    torch.testing.assert_close(together, sum(alone) / 2)


def test_unknown_behavior_is_its_mean():
    frames = world.movie(PAST + 6)
    unknown = world.live(1).expect(frames, torch.zeros(len(frames), len(BEHAVIOR)))
    usual = torch.tensor(USUAL).expand(len(frames), 4)
    video = pixels(frames, LOW.basis)
    expected = Published(world.models()).rates(video, usual)[PAST:] + 0.01
    torch.testing.assert_close(unknown, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("place", range(len(BEHAVIOR)), ids=BEHAVIOR)
def test_all_that_is_measured_is_told(place):
    frames = world.movie(PAST + 6)
    behavior = torch.zeros(len(frames), len(BEHAVIOR))
    usual = world.live(1).expect(frames, behavior)
    behavior[:, place] = 2.0
    told = world.live(1).expect(frames, behavior)
    assert (told - usual).abs().max() > 1e-3
    video, did = pixels(frames, LOW.basis), world.raw(behavior)
    expected = Published(world.models()).rates(video, did)[PAST:] + 0.01
    torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-3)


# -- which way is down -----------------------------------------------------------------


@pytest.fixture
def window():
    """Past (PAST, C), activity, behaviour; z for it."""
    n_frames = PAST + WINDOW
    activity = world.activity(n_frames).clone()
    activity[3, ::2] = torch.nan
    given = world.movie(n_frames)[:PAST], activity, world.behavior(n_frames)
    generator = torch.Generator().manual_seed(5)
    return given, 0.3 * torch.randn(1 + WINDOW, LOW.n_coef, generator=generator)


def objective(encoder, window) -> Objective:
    made = Objective(world.problem(encoder))
    made.take(*window)
    return made


def test_the_objective_is_as_defined_and_its_slope_autograd_s(window):
    (past, activity, behavior), z = window
    z = z.requires_grad_(True)
    frames = torch.cat([past, world.prior().unroll(z, past[-1])])
    video, told = pixels(frames, LOW.basis), world.raw(behavior)
    rates = Published(world.models()).rates(video, told)[PAST:] + 0.01
    known = activity.isfinite()
    misfit = (rates - activity.nan_to_num() * rates.log())[known].sum()
    expected = world.TEMPERATURE * misfit + z.square().sum() / 2
    expected.backward()
    value, slope = objective(world.live(1), window[0]).slope(z, AS_MOVIES)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert (slope - z.grad).norm() < 1e-3 * z.grad.norm()


def test_the_slope_with_few_windows_is_that_of_its_objective(window):
    made, z = objective(world.live(16), window[0]), window[1]
    _, slope = made.slope(z, AS_MOVIES)
    way = slope / slope.norm()
    step = 0.05
    rise = (
        made.slope(z + step * way, AS_MOVIES)[0]
        - made.slope(z - step * way, AS_MOVIES)[0]
    )
    assert rise.item() / (2 * step) == pytest.approx(slope.norm().item(), rel=0.02)


class Cramped(Published):
    """Has memory for two windows going forward twice, not for more."""

    most = 2

    def answers(self, movie, told, windows):
        if not self.recompute or min(self.windows, len(windows.frames)) > self.most:
            raise torch.OutOfMemoryError("no memory")
        return super().answers(movie, told, windows)


def cramped(most: int):
    encoder = world.live(8)
    encoder.published = Cramped(world.models(), windows=16)
    encoder.published.most = most
    return encoder


def test_too_little_memory_takes_fewer_windows_at_once_and_is_told(window):
    (given, z), notes = window, []
    made = Objective(world.problem(cramped(2)), notes.append)
    made.take(*given)
    value, slope = made.slope(z, AS_MOVIES)
    expected, expected_slope = objective(world.live(8), given).slope(z, AS_MOVIES)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-3, atol=1e-4)
    at_once = [int(note.split("now on ")[1].split()[0]) for note in notes]
    assert at_once == [6, 3, 2]
    made.predict(z)
    assert len(notes) == 3, "it remembers"


def test_memory_for_no_window_at_all_is_a_sentence(window):
    made = objective(cramped(0), window[0])
    with pytest.raises(UserError, match="even for one window"):
        made.slope(window[1], AS_MOVIES)


# -- the inversion ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def recording():
    return world.activity(N_FRAMES), world.behavior(N_FRAMES)[PAST:]


@pytest.fixture(scope="module")
def found(recording):
    """The movie (T, C) that is found, and the inverter after it."""
    inverter = LiveInverter(world.problem(), WINDOW)
    return streamed(inverter, *recording), inverter


def pixel_r(made, begun=10):
    shown = world.movie(N_FRAMES)[PAST:]
    a, b = ((m[begun:] @ LOW.basis).ravel() for m in (made, shown))
    return np.corrcoef(a, b)[0, 1]


def test_the_movie_is_found_and_neurons_exchanged_find_nothing(found, recording):
    activity, behavior = recording
    order = torch.randperm(N_NEURONS, generator=torch.Generator().manual_seed(4))
    null = streamed(LiveInverter(world.problem(), WINDOW), activity[:, order], behavior)
    assert pixel_r(found[0]) > 0.6
    assert pixel_r(found[0]) > pixel_r(null) + 0.3


def test_the_window_predicts_what_its_movie_would(found):
    made, inverter = found
    frames = made[-PAST - WINDOW :]
    told = world.behavior(N_FRAMES)[-PAST - WINDOW :]
    expected = world.live().expect(frames, told)
    np.testing.assert_allclose(inverter.predict(), expected, rtol=2e-3, atol=1e-2)


def test_lost_activity_never_enters(recording):
    activity, behavior = (part[:20] for part in recording)
    lossy = activity.clone()
    lossy[8:12, ::2], lossy[:, 5] = torch.nan, torch.nan
    made = streamed(LiveInverter(world.problem(), WINDOW), lossy, behavior)
    assert made.isfinite().all()
    problem = world.problem()
    problem.weight[5] = 0  # as if it had not been there
    lossy[:, 5] = 1e3
    again = streamed(LiveInverter(problem, WINDOW), lossy, behavior)
    np.testing.assert_allclose(made, again, atol=1e-3)


def test_the_seed_decides(recording):
    part = [given[:10] for given in recording]
    one, same, other = (
        streamed(LiveInverter(world.problem(), WINDOW, seed), *part)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


# -- what activity can tell ------------------------------------------------------------


def test_how_much_of_each_frame_is_told(recording):
    inverter = LiveInverter(world.problem(), 40)
    np.testing.assert_array_equal(inverter.information_fraction(), np.zeros(40))
    inverter.advance(*(part[:40] for part in recording))
    told = inverter.information_fraction()
    np.testing.assert_allclose(told[:10], 1, atol=1e-6)  # all that reaches is there
    # Every other frame after the youngest ones is still to come.
    np.testing.assert_allclose(told[-4:], [2 / 16, 2 / 16, 1 / 16, 1 / 16], atol=1e-6)


def test_reach_is_measured_where_windows_have_frames():
    reach = measured_reach(Published(world.models()), world.prior())
    assert reach.shape == (SPAN,)
    assert reach.sum() == pytest.approx(1)
    assert (reach[1::2] == 0).all()
    assert (reach[::2] > 0).all()
    # Filters in time are five of a window's frames wide, one after the other.
    assert reach[:10].sum() > reach[10:].sum()


def test_means_and_spreads_of_behavior_are_its_own():
    encoder = world.live()
    kept = encoder.state_dict()
    assert set(kept) == {"gain", "floor", "reach"}
    frames, told = world.movie(PAST + 4), world.behavior(PAST + 4)
    wider = replace(encoder._fit, behavior_sd=2 * SD, behavior_mean=MEAN)
    other = type(encoder)(encoder.published, wider)
    torch.testing.assert_close(
        encoder.expect(frames, told), other.expect(frames, told / 2)
    )
