"""The interface `Encoder` holds for every kind of encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rtrecon.encoder.base import PADDED_SHAPE, Encoder
from rtrecon.encoder.dwiseneuro.inference import DwiseNeuroEncoder
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from tests.support import dwiseneuro_world, inversion_world
from tests.support.dwiseneuro_world import FLOAT32_TOLERANCE

N_FRAMES = 34
USUAL = (30.0, 5.0, 150.0, 150.0)  # behavior, as in `inversion_world`


def make_compact(folder: Path) -> Encoder:
    return CompactPixelEncoder(inversion_world.make_checkpoint(20))


def make_dwiseneuro(folder: Path) -> Encoder:
    [model] = dwiseneuro_world.read_mouse_models()
    return DwiseNeuroEncoder([replace(model, mouse=Mouse(0, 5, "1-2-3", USUAL))])


# kind of encoder -> function that makes it, neurons, past frames, frame shape
KINDS: dict[str, tuple[Callable[[Path], Encoder], int, int, tuple[int, int]]] = {
    "compact": (make_compact, 20, 11, IMAGE_SHAPE),
    "published": (make_dwiseneuro, 5, 0, PADDED_SHAPE),
}


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Encoder:
    torch.set_num_threads(1)
    return KINDS[request.param][0](tmp_path)


def make_input(encoder: Encoder, *movies: int) -> tuple[Tensor, Tensor]:
    """Video with the past frames that the encoder needs, and the usual behavior."""
    rng = torch.Generator().manual_seed(0)
    n_frames = encoder.past_frames + N_FRAMES
    video = 255 * torch.rand(*movies, n_frames, *IMAGE_SHAPE, generator=rng)
    return video, torch.tensor(USUAL).repeat(*movies, N_FRAMES, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_states_its_neurons_past_and_frame_shape(tmp_path, kind: str):
    make, *expected = KINDS[kind]
    made = make(tmp_path)
    assert [made.n_neurons, made.past_frames, made.frame_shape] == expected


def test_every_neuron_has_a_rate_in_every_frame_after_the_past(encoder):
    rates = encoder.predict_rates(*make_input(encoder))
    assert rates.shape == (N_FRAMES, encoder.n_neurons)
    assert rates.dtype == torch.float32
    assert (rates >= 0).all()
    assert (rates.std(0) > 0).all()


def test_leading_dimensions_are_independent_movies(encoder):
    video, behavior = make_input(encoder, 2, 2)
    together = encoder.predict_rates(video, behavior)
    assert together.shape == (2, 2, N_FRAMES, encoder.n_neurons)
    torch.testing.assert_close(
        together[1, 0],
        encoder.predict_rates(video[1, 0], behavior[1, 0]),
        **FLOAT32_TOLERANCE,
    )


def test_every_frame_but_the_newest_has_a_gradient(encoder):
    video, behavior = make_input(encoder)
    video.requires_grad_(True)
    encoder.predict_rates(video, behavior).square().sum().backward()
    assert (video.grad[:-1].flatten(1).abs().amax(1) > 0).all()


def test_the_gradient_equals_a_finite_difference(encoder):
    """Along the gradient; no pixel changes by more than one gray level."""
    video, behavior = make_input(encoder)
    video.requires_grad_(True)
    encoder.predict_rates(video, behavior).mean().backward()
    change = video.grad / video.grad.abs().max()
    with torch.no_grad():
        ahead, back = (
            encoder.predict_rates(video + side * change, behavior).mean()
            for side in (1, -1)
        )
    slope = (video.grad * change).sum()
    torch.testing.assert_close((ahead - back) / 2, slope, rtol=0.02, atol=0)


def test_unknown_behavior_is_replaced_by_its_training_mean(encoder):
    video, behavior = make_input(encoder)
    expected = encoder.predict_rates(video, behavior)
    unknown = torch.full_like(behavior, torch.nan)
    torch.testing.assert_close(
        encoder.predict_rates(video, unknown), expected, **FLOAT32_TOLERANCE
    )
    torch.testing.assert_close(
        encoder.predict_rates(video, behavior[:, :2]), expected, **FLOAT32_TOLERANCE
    )
    assert not torch.allclose(encoder.predict_rates(video, 2 * behavior), expected)


@pytest.mark.parametrize("index", range(len(USUAL)))
def test_every_behavior_value_affects_the_rates(encoder, index):
    video, behavior = make_input(encoder)
    expected = encoder.predict_rates(video, behavior)
    behavior[:, index] += 8
    assert not torch.allclose(encoder.predict_rates(video, behavior), expected)
