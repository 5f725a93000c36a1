"""The published encoder in the live inversion: windows, gradient, movie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.dwiseneuro.inference import WINDOW_SPAN_FRAMES, DwiseNeuroEncoder
from rtrecon.encoder.dwiseneuro.live import (
    coefficients_to_pixels,
    measure_lag_weights,
    select_windows,
)
from rtrecon.encoder.sensitivity import find_visual_field, measure_sensitivity
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.objective import Objective
from rtrecon.protocol.behavior import BEHAVIOR
from tests.support import dwiseneuro_live_world as world
from tests.support.dwiseneuro_live_world import (
    LOW,
    MEAN,
    MEAN_BEHAVIOR,
    N_NEURONS,
    PAST,
    SD,
)
from tests.support.dwiseneuro_world import FLOAT32_TOLERANCE
from tests.support.inversion_world import make_checkpoint
from tests.support.rounding import float32_tolerance
from tests.support.streaming import HopPacer

WINDOW, HOP = 20, 5
AS_MOVIES = torch.ones(LOW.n_coef)
streamed = HopPacer(HOP, steps=5).stream_activity
N_FRAMES = PAST + 50


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


# -- which windows are asked -----------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 5, 16, 31, 32])
@pytest.mark.parametrize("n_frames", [1, 2, 6, 33, 35, 64])
def test_windows_cover_every_frame_and_end_inside_the_movie(n_frames: int, stride: int):
    frames = select_windows(PAST + n_frames, stride)
    assert (frames.diff(dim=1) == 2).all()
    assert frames.min() >= 0
    newest = frames[:, -1]
    assert PAST <= newest.min() <= newest.max() == PAST + n_frames - 1
    assert set(range(PAST, PAST + n_frames)) <= set(frames.flatten().tolist())
    assert len(set(newest.tolist())) == len(newest)


# frames in the window, stride -> windows that go through the encoder
COST = {(35, 1): 35, (35, 8): 10, (35, 16): 6, (35, 32): 4, (30, 30): 2}


@pytest.mark.parametrize("case", COST)
def test_the_stride_limits_the_number_of_windows(case):
    n_frames, stride = case
    assert len(select_windows(PAST + n_frames, stride)) == COST[case]


# -- what is answered ------------------------------------------------------------------


def whole(n_frames: int) -> torch.Tensor:
    """Return the published encoder's prediction (T, n) from all windows of a movie."""
    video = coefficients_to_pixels(world.make_movie(n_frames), LOW.vectors)
    behavior = world.unstandardize_behavior(world.make_behavior(n_frames))
    return DwiseNeuroEncoder(world.make_models()).predict_rates(video, behavior)


def test_a_window_after_a_past_predicts_the_same_as_the_whole_movie():
    n_frames, n_asked = PAST + 50, 20
    recent = slice(n_frames - PAST - n_asked, None)
    asked = world.make_movie(n_frames)[recent], world.make_behavior(n_frames)[recent]
    answer = world.make_live_encoder(stride_frames=1, gain=2.0).predict(*asked)
    expected = 2 * whole(n_frames)[-n_asked:] + 0.01
    torch.testing.assert_close(answer, expected, **FLOAT32_TOLERANCE)


def test_a_larger_stride_changes_the_prediction_little():
    asked = world.make_movie(PAST + 35), world.make_behavior(PAST + 35)
    every, some = (
        world.make_live_encoder(stride).predict(*asked) for stride in (1, 16)
    )
    assert not torch.equal(every, some)
    apart = (some - every).square().mean().sqrt()
    assert apart < 0.25 * every.std()


def test_several_models_predict_their_mean():
    asked = world.make_movie(PAST + 10), world.make_behavior(PAST + 10)
    together = world.make_live_encoder(seeds=(0, 1)).predict(*asked)
    alone = [world.make_live_encoder(seeds=(seed,)).predict(*asked) for seed in (0, 1)]
    assert not torch.allclose(*alone, rtol=0.1)
    # Batches of another size may round differently in every float32 layer.
    torch.testing.assert_close(together, sum(alone) / 2, **FLOAT32_TOLERANCE)


def test_unknown_behavior_is_replaced_by_the_mean():
    frames = world.make_movie(PAST + 6)
    unknown = world.make_live_encoder(1).predict(
        frames, torch.zeros(len(frames), len(BEHAVIOR))
    )
    usual = torch.tensor(MEAN_BEHAVIOR).expand(len(frames), 4)
    video = coefficients_to_pixels(frames, LOW.vectors)
    expected = (
        DwiseNeuroEncoder(world.make_models()).predict_rates(video, usual)[PAST:] + 0.01
    )
    torch.testing.assert_close(unknown, expected, **FLOAT32_TOLERANCE)


@pytest.mark.parametrize("place", range(len(BEHAVIOR)), ids=BEHAVIOR)
def test_every_behavior_signal_reaches_the_encoder(place):
    frames = world.make_movie(PAST + 6)
    behavior = torch.zeros(len(frames), len(BEHAVIOR))
    usual = world.make_live_encoder(1).predict(frames, behavior)
    behavior[:, place] = 2.0
    changed = world.make_live_encoder(1).predict(frames, behavior)
    assert (changed - usual).abs().max() > 1e-3
    video, did = (
        coefficients_to_pixels(frames, LOW.vectors),
        world.unstandardize_behavior(behavior),
    )
    expected = (
        DwiseNeuroEncoder(world.make_models()).predict_rates(video, did)[PAST:] + 0.01
    )
    torch.testing.assert_close(changed, expected, **FLOAT32_TOLERANCE)


# -- which way is down -----------------------------------------------------------------


@pytest.fixture
def window():
    """Past (PAST, C), activity, behaviour and prior; z for it."""
    n_frames = PAST + WINDOW
    activity = world.make_activity(n_frames).clone()
    activity[3, ::2] = torch.nan
    past, behavior = world.make_movie(n_frames)[:PAST], world.make_behavior(n_frames)
    given = past, activity, behavior, world.make_prior().for_window(WINDOW)
    generator = torch.Generator().manual_seed(5)
    return given, 0.3 * torch.randn(1 + WINDOW, LOW.n_coef, generator=generator)


def objective(encoder, window) -> Objective:
    made = Objective(world.make_problem(encoder))
    made.set_window(*window)
    return made


def test_objective_and_gradient_follow_the_definition(window):
    (past, activity, behavior, _), z = window
    z = z.requires_grad_(True)
    frames = torch.cat([past, world.make_prior().generate_frames(z, past[-1])])
    video, raw_behavior = (
        coefficients_to_pixels(frames, LOW.vectors),
        world.unstandardize_behavior(behavior),
    )
    rates = (
        DwiseNeuroEncoder(world.make_models()).predict_rates(video, raw_behavior)[PAST:]
        + 0.01
    )
    known = activity.isfinite()
    misfit = (rates - activity.nan_to_num() * rates.log())[known].sum()
    expected = world.DATA_WEIGHT * misfit + z.square().sum() / 2
    expected.backward()
    value, slope = objective(world.make_live_encoder(1), window[0]).value_and_gradient(
        z, AS_MOVIES
    )
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert (slope - z.grad).norm() < 1e-3 * z.grad.norm()


def test_the_gradient_with_few_windows_equals_finite_differences(window):
    made, z = objective(world.make_live_encoder(16), window[0]), window[1]
    _, slope = made.value_and_gradient(z, AS_MOVIES)
    way = slope / slope.norm()
    step = 0.05
    rise = (
        made.value_and_gradient(z + step * way, AS_MOVIES)[0]
        - made.value_and_gradient(z - step * way, AS_MOVIES)[0]
    )
    assert rise.item() / (2 * step) == pytest.approx(slope.norm().item(), rel=0.02)


class LowMemoryEncoder(DwiseNeuroEncoder):
    """An encoder that runs out of memory with more than two windows."""

    most = 2

    def predict_windows(self, movie, behavior, windows):
        if (
            not self.recompute_forward
            or min(self.max_windows, len(windows.frame_indices)) > self.most
        ):
            raise torch.OutOfMemoryError("no memory")
        return super().predict_windows(movie, behavior, windows)


def low_memory_encoder(most: int):
    encoder = world.make_live_encoder(8)
    encoder.dwiseneuro = LowMemoryEncoder(world.make_models(), max_windows=16)
    encoder.dwiseneuro.most = most
    return encoder


def test_too_little_memory_reduces_the_batch_and_is_reported(window):
    (given, z), notes = window, []
    made = Objective(world.make_problem(low_memory_encoder(2)), notes.append)
    made.set_window(*given)
    value, slope = made.value_and_gradient(z, AS_MOVIES)
    expected, expected_slope = objective(
        world.make_live_encoder(8), given
    ).value_and_gradient(z, AS_MOVIES)
    # float32 sums of some thousand terms in another order: 1e-4 is a wide margin.
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=0.0)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-3, atol=1e-4)
    at_once = [int(note.split("now on ")[1].split()[0]) for note in notes]
    assert at_once == [6, 3, 2]
    made.predict_activity(z)
    assert len(notes) == 3, "it remembers"


def test_memory_for_no_window_raises_a_sentence(window):
    made = objective(low_memory_encoder(0), window[0])
    with pytest.raises(UserError, match="even for one window"):
        made.value_and_gradient(window[1], AS_MOVIES)


# -- the inversion ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def recording():
    return world.make_activity(N_FRAMES), world.make_behavior(N_FRAMES)[PAST:]


@pytest.fixture(scope="module")
def found(recording):
    """Return the movie (T, C) that is found, and the inversion afterwards."""
    inversion = MapInversion(world.make_problem(), WINDOW)
    return streamed(inversion, *recording), inversion


def pixel_r(made, begun=10):
    shown = world.make_movie(N_FRAMES)[PAST:]
    a, b = ((m[begun:] @ LOW.vectors).ravel() for m in (made, shown))
    return np.corrcoef(a, b)[0, 1]


def test_the_movie_is_found_and_exchanged_neurons_find_nothing(found, recording):
    activity, behavior = recording
    order = torch.randperm(N_NEURONS, generator=torch.Generator().manual_seed(4))
    null = streamed(
        MapInversion(world.make_problem(), WINDOW), activity[:, order], behavior
    )
    assert pixel_r(found[0]) > 0.6
    assert pixel_r(found[0]) > pixel_r(null) + 0.3


def test_the_window_predicts_the_activity_of_its_movie(found):
    made, inversion = found
    frames = made[-PAST - WINDOW :]
    behavior = world.make_behavior(N_FRAMES)[-PAST - WINDOW :]
    expected = world.make_live_encoder().predict(frames, behavior)
    np.testing.assert_allclose(
        inversion.predict_activity(), expected, rtol=2e-3, atol=1e-2
    )


def test_lost_activity_does_not_influence_the_movie(recording):
    activity, behavior = (part[:20] for part in recording)
    lossy = activity.clone()
    lossy[8:12, ::2], lossy[:, 5] = torch.nan, torch.nan
    made = streamed(MapInversion(world.make_problem(), WINDOW), lossy, behavior)
    assert made.isfinite().all()
    problem = world.make_problem()
    problem.weight[5] = 0  # as if it had not been there
    lossy[:, 5] = 1e3
    again = streamed(MapInversion(problem, WINDOW), lossy, behavior)
    np.testing.assert_allclose(made, again, atol=1e-3)


def test_the_seed_determines_the_movie(recording):
    part = [given[:10] for given in recording]
    one, same, other = (
        streamed(MapInversion(world.make_problem(), WINDOW, seed), *part)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


# -- information in activity ----------------------------------------------------------


def test_the_information_fraction_falls_where_activity_is_missing(recording):
    inversion = MapInversion(world.make_problem(), 40)
    np.testing.assert_array_equal(inversion.information_fraction(), np.zeros(40))
    inversion.push_activity(*(part[:40] for part in recording))
    information = inversion.information_fraction()
    # Sums over the neurons, then over the frames that they remember.
    tolerance = float32_tolerance(N_NEURONS + WINDOW_SPAN_FRAMES)
    # All that reaches is there.
    np.testing.assert_allclose(information[:10], 1, rtol=0, atol=tolerance)
    # Every other frame after the youngest ones is still to come.
    newest = [2 / 16, 2 / 16, 1 / 16, 1 / 16]
    np.testing.assert_allclose(information[-4:], newest, rtol=0, atol=tolerance)


def test_lag_weights_are_measured_within_the_windows():
    reach = measure_lag_weights(
        DwiseNeuroEncoder(world.make_models()), world.make_prior()
    )
    assert reach.shape == (WINDOW_SPAN_FRAMES,)
    assert reach.sum() == pytest.approx(1, abs=float32_tolerance(WINDOW_SPAN_FRAMES))
    assert (reach[1::2] == 0).all()
    assert (reach[::2] > 0).all()
    # Filters in time are five of a window's frames wide, one after the other.
    assert reach[:10].sum() > reach[10:].sum()


def test_behavior_statistics_come_from_the_fit():
    encoder = world.make_live_encoder()
    kept = encoder.state_dict()
    assert set(kept) == {"gain", "baseline", "lag_weights"}
    frames, behavior = world.make_movie(PAST + 4), world.make_behavior(PAST + 4)
    wider = replace(encoder.fit, behavior_sd=2 * SD, behavior_mean=MEAN)
    other = type(encoder)(encoder.dwiseneuro, wider)
    # Behaviour is rounded differently on the two ways, by one unit in the last place,
    # which the layers of the network amplify.
    torch.testing.assert_close(
        encoder.predict(frames, behavior),
        other.predict(frames, behavior / 2),
        rtol=1e-4,
        atol=1e-3,
    )


def test_the_visual_field_of_a_published_encoder_is_measured():
    checkpoint, encoder = make_checkpoint(40), world.make_live_encoder()
    n = encoder.n_neurons
    calibration = replace(checkpoint.calibration, dispersion=torch.ones(n))
    published = replace(checkpoint, encoder=encoder, calibration=calibration)
    sensitivity = measure_sensitivity(published)
    assert sensitivity.shape == (36, 64)
    assert np.isfinite(sensitivity).all()
    assert find_visual_field(published).any()
