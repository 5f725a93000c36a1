"""Gradients of the published protocol follow their definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.base import PADDED_SHAPE
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.inversion.offline.window_gradients import WindowGradients, poisson_misfit
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from tests.support import inversion_world as world

N_FRAMES = 48
SETTINGS = PublishedSettings()
PAST = MEMORY_FRAMES - 1


@pytest.fixture(scope="module")
def encoder():
    return CompactPixelEncoder(world.make_checkpoint())


@pytest.fixture
def target():
    return world.make_clip(N_FRAMES).target


@pytest.fixture(scope="module")
def video():
    generator = torch.Generator().manual_seed(0)
    return 255 * torch.rand(PAST + N_FRAMES, *IMAGE_SHAPE, generator=generator)


class PaintedEncoder:
    """One neuron that sums a padded frame and behaviour, as planes or values."""

    n_neurons, past_frames, frame_shape = 1, 0, PADDED_SHAPE

    def predict_rates(self, video, behavior):
        planes = behavior if behavior.ndim == 5 else behavior[..., None, None]
        seen = video.sum((-1, -2)) + 3 * planes.sum((-1, -2, -3))
        return seen[..., None] * 1e-3


def test_window_gradients_have_length_one_and_are_averaged(encoder, target, video):
    made = WindowGradients(encoder, target, SETTINGS).mean_gradient(video)
    total, count = torch.zeros_like(video), torch.zeros(len(video), 1, 1)
    for start in (0, 8, 16, 16):  # of 32 frames; the last is counted twice
        movie = video[start : start + PAST + 32].clone().requires_grad_(True)
        part = slice(start, start + 32)
        rates = encoder.predict_rates(movie, target.behavior_tensor()[part])
        activity = target.activity_tensor()[part]
        misfit = (rates - activity * (rates + 1e-8).log()).mean()
        (gradient,) = torch.autograd.grad(misfit, movie)
        total[start : start + PAST + 32] += gradient / (gradient.norm() + 1e-6)
        count[start : start + PAST + 32] += 1
    np.testing.assert_allclose(made, total / count, rtol=1e-3, atol=1e-7)


def test_the_misfit_is_the_poisson_likelihood_of_recorded_activity():
    rates = torch.tensor([[[2.0, 1.0], [4.0, 3.0]]])
    activity = torch.tensor([[[1.0, torch.nan], [0.0, torch.nan]]])
    expected = (2 - np.log(2) + 4) / 2
    assert poisson_misfit(rates, activity).item() == pytest.approx(expected)
    nothing = torch.full_like(activity, torch.nan)
    assert poisson_misfit(rates, nothing).item() == 0


def test_negative_activity_counts_as_zero(encoder, target, video):
    below = InversionTarget(
        np.where(target.activity == 0, -1, target.activity), target.behavior
    )
    made, same = (
        WindowGradients(encoder, each, SETTINGS).mean_gradient(video)
        for each in (target, below)
    )
    assert torch.equal(made, same)


def test_behavior_planes_count_in_the_norm():
    target = InversionTarget(np.zeros((32, 1)), np.ones((32, 2)))
    video = torch.ones(32, *PADDED_SHAPE)
    alone, shared = (
        WindowGradients(PaintedEncoder(), target, settings)
        .mean_gradient(video)
        .norm()
        .item()
        for settings in (replace(SETTINGS, behavior_in_norm=False), SETTINGS)
    )
    # By movie 1, by each of two planes 3: one in nineteen squares.
    assert alone == pytest.approx(1, rel=1e-3)
    assert shared == pytest.approx(19**-0.5, rel=1e-3)


# -- neurons that are left out ---------------------------------------------------------


@pytest.mark.parametrize("silent", [True, False])
def test_unused_neurons_are_ignored_or_set_to_zero(encoder, target, video, silent):
    kept = np.arange(world.N_NEURONS) % 2 == 0
    settings = replace(SETTINGS, dropped_silent=silent)

    def slope(dropped_activity):
        activity = np.where(kept, target.activity, dropped_activity)
        given = InversionTarget(activity, target.behavior, kept)
        return WindowGradients(encoder, given, settings).mean_gradient(video)

    # Whatever they did does not matter, ...
    assert torch.equal(slope(target.activity), slope(7.0))
    # ... but being asked for silence does.
    activity = np.where(kept, target.activity, 0 if silent else np.nan)
    plain = WindowGradients(
        encoder, InversionTarget(activity, target.behavior), SETTINGS
    )
    assert torch.equal(slope(7.0), plain.mean_gradient(video))


def test_lost_activity_has_no_gradient(encoder, target, video):
    lost = InversionTarget(np.full_like(target.activity, np.nan), target.behavior)
    assert not WindowGradients(encoder, lost, SETTINGS).mean_gradient(video).any()


# -- memory ----------------------------------------------------------------------------


class Forgetful(CompactPixelEncoder):
    """An encoder that runs out of memory with more than three windows."""

    def predict_rates(self, video, behavior):
        if len(video) > 3:
            raise torch.OutOfMemoryError("no memory")
        return super().predict_rates(video, behavior)


def test_out_of_memory_halves_the_batch_with_the_same_result(encoder, video):
    settings = replace(SETTINGS, stride_frames=2)  # nine windows
    target = world.make_clip(N_FRAMES).target
    plenty = WindowGradients(encoder, target, settings)
    little = WindowGradients(Forgetful(world.make_checkpoint()), target, settings)
    expected = plenty.mean_gradient(video)
    np.testing.assert_allclose(
        little.mean_gradient(video), expected, rtol=1e-4, atol=1e-8
    )
    assert (plenty.windows_at_once, little.windows_at_once) == (64, 3)
    assert plenty.n_passes == little.n_passes == 9


def test_memory_for_no_window_raises_a_sentence(video):
    class Hopeless(CompactPixelEncoder):
        def predict_rates(self, video, behavior):
            raise torch.OutOfMemoryError("no memory")

    target = world.make_clip(N_FRAMES).target
    gradients = WindowGradients(Hopeless(world.make_checkpoint()), target, SETTINGS)
    with pytest.raises(UserError, match="one window at a time"):
        gradients.mean_gradient(video)


def test_a_prediction_that_is_not_finite_raises_a_sentence(target, video):
    class Unknowing(CompactPixelEncoder):
        def predict_rates(self, video, behavior):
            return super().predict_rates(video, behavior) * torch.nan

    gradients = WindowGradients(Unknowing(world.make_checkpoint()), target, SETTINGS)
    with pytest.raises(UserError, match="no finite activity"):
        gradients.mean_gradient(video)
