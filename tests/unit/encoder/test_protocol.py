"""What the offline methods ask of an encoder holds for each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rtrecon.encoder.dwiseneuro.inference import Published
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.encoder.protocol import PADDED, VISIBLE, Encoder
from rtrecon.inversion.offline.pixel_rates import CompactRates
from tests.support import dwiseneuro_world, inversion_world

N_FRAMES = 34
USUAL = (30.0, 5.0, 150.0, 150.0)  # behaviour, as in `reconstruct_world`


def compact(folder: Path) -> Encoder:
    return CompactRates(inversion_world.checkpoint(20))


def published(folder: Path) -> Encoder:
    [model] = dwiseneuro_world.models(folder)
    return Published([replace(model, mouse=Mouse(0, 5, "1-2-3", USUAL))])


# each kind of encoder -> how it is made, its neurons, its past, the frames that it sees
KINDS: dict[str, tuple[Callable[[Path], Encoder], int, int, tuple[int, int]]] = {
    "compact": (compact, 20, 11, VISIBLE),
    "published": (published, 5, 0, PADDED),
}


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Encoder:
    torch.set_num_threads(1)
    return KINDS[request.param][0](tmp_path)


def asked(encoder: Encoder, *movies: int) -> tuple[Tensor, Tensor]:
    """Visible frames, with as many before them as it wants; and the usual behaviour."""
    rng = torch.Generator().manual_seed(0)
    n_frames = encoder.past_frames + N_FRAMES
    video = 255 * torch.rand(*movies, n_frames, *VISIBLE, generator=rng)
    return video, torch.tensor(USUAL).repeat(*movies, N_FRAMES, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_each_says_what_it_is(tmp_path, kind: str):
    make, *expected = KINDS[kind]
    made = make(tmp_path)
    assert [made.n_neurons, made.past_frames, made.frame_shape] == expected


def test_there_is_a_rate_for_every_neuron_in_every_frame_after_the_past(encoder):
    rates = encoder.rates(*asked(encoder))
    assert rates.shape == (N_FRAMES, encoder.n_neurons)
    assert rates.dtype == torch.float32
    assert (rates >= 0).all()
    assert (rates.std(0) > 0).all()


def test_leading_dimensions_are_movies_of_their_own(encoder):
    video, behavior = asked(encoder, 2, 2)
    together = encoder.rates(video, behavior)
    assert together.shape == (2, 2, N_FRAMES, encoder.n_neurons)
    torch.testing.assert_close(
        together[1, 0], encoder.rates(video[1, 0], behavior[1, 0])
    )


def test_the_gradient_reaches_every_frame_but_one_too_new_to_tell(encoder):
    video, behavior = asked(encoder)
    video.requires_grad_(True)
    encoder.rates(video, behavior).square().sum().backward()
    assert (video.grad[:-1].flatten(1).abs().amax(1) > 0).all()


def test_the_gradient_is_the_slope(encoder):
    """Along itself; no pixel goes by more than a gray level to either side."""
    video, behavior = asked(encoder)
    video.requires_grad_(True)
    encoder.rates(video, behavior).mean().backward()
    change = video.grad / video.grad.abs().max()
    with torch.no_grad():
        ahead, back = (
            encoder.rates(video + side * change, behavior).mean() for side in (1, -1)
        )
    slope = (video.grad * change).sum()
    torch.testing.assert_close((ahead - back) / 2, slope, rtol=0.02, atol=0)


def test_what_is_not_known_of_behavior_is_its_mean_in_training(encoder):
    video, behavior = asked(encoder)
    expected = encoder.rates(video, behavior)
    unknown = torch.full_like(behavior, torch.nan)
    torch.testing.assert_close(encoder.rates(video, unknown), expected)
    torch.testing.assert_close(encoder.rates(video, behavior[:, :2]), expected)
    assert not torch.allclose(encoder.rates(video, 2 * behavior), expected)


@pytest.mark.parametrize("place", range(len(USUAL)))
def test_all_behavior_is_heard(encoder, place):
    video, behavior = asked(encoder)
    expected = encoder.rates(video, behavior)
    behavior[:, place] += 8
    assert not torch.allclose(encoder.rates(video, behavior), expected)
