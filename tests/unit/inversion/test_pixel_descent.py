"""The published descent: which pixels move, how far, and how it resumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.base import PADDED_SHAPE
from rtrecon.inversion.offline.pixel_descent import MIN_FREE_MASK, PixelDescent
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.inversion.offline.window_gradients import WindowGradients
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from tests.support import inversion_world as world

SETTINGS = PublishedSettings()
CLIP = world.make_clip(40)


@pytest.fixture(scope="module")
def encoder():
    return CompactPixelEncoder(world.make_checkpoint())


@pytest.fixture
def start(encoder):
    def begun(target=CLIP.target, mask=None, settings=SETTINGS, encoders=(encoder,)):
        return PixelDescent(encoders, target, mask, settings)

    return begun


class Bright:
    """One neuron that responds to the brightness of a padded frame."""

    n_neurons, past_frames, frame_shape = 1, 0, PADDED_SHAPE

    def predict_rates(self, video, behavior):
        return video.mean((-1, -2))[..., None] / 255 + 0.01


def stepped(descent, n_steps):
    for _ in range(n_steps):
        descent.step()
    return descent


def test_the_movie_starts_gray(start):
    movie = start().current_movie()
    assert movie.dtype == np.float32
    assert movie.shape == (40, *IMAGE_SHAPE)
    assert (movie == 127.5).all()


def test_first_steps_follow_the_published_formula(encoder, start):
    descent = start()
    slopes = WindowGradients(encoder, CLIP.target, SETTINGS)
    video = torch.full((descent._past + 40, *IMAGE_SHAPE), 127.5)
    momentum = torch.zeros_like(video)
    for i in (1, 2, 3):
        gradient = slopes.mean_gradient(video)
        gradient[: descent._past] = 0
        momentum = 0.9 * momentum + 0.1 * gradient
        rate = 1000 * i / 10 * (1 - 0.999 ** (i + 1)) ** 0.5 / (1 - 0.9 ** (i + 1))
        video = (video - rate * momentum / (1 - 0.9 ** (i + 1))).clamp(0, 255)
        descent.step()
        expected = video[descent._past :].numpy()
        np.testing.assert_allclose(descent.current_movie(), expected, atol=1e-3)
    assert np.abs(expected - 127.5).max() > 1


def test_pixels_stay_between_0_and_255(start):
    movie = stepped(start(settings=replace(SETTINGS, rate=1e6)), 5).current_movie()
    assert (movie.min(), movie.max()) == (0, 255)


def test_only_pixels_under_the_mask_move(start):
    mask = np.zeros(IMAGE_SHAPE)
    mask[10:20, 30:50], mask[5, 5] = MIN_FREE_MASK, MIN_FREE_MASK - 0.01
    moved = (stepped(start(mask=mask), 3).current_movie() != 127.5).any(0)
    assert (moved == (mask >= MIN_FREE_MASK)).all()


@pytest.mark.parametrize("pad", [127.5, 0.0])
def test_padding_rows_move_without_a_mask(pad):
    target = InversionTarget(np.ones((32, 1)), np.zeros((32, 2)))
    descent = PixelDescent([Bright()], target, None, replace(SETTINGS, pad=pad))
    assert (descent._video[:, 0] == pad).all()
    stepped(descent, 3)
    assert (descent._video[:, 0] > pad).all()
    mask = np.ones(IMAGE_SHAPE)  # covers what is visible, not the rows around
    descent = PixelDescent([Bright()], target, mask, replace(SETTINGS, pad=pad))
    assert (stepped(descent, 3)._video[:, 0] == pad).all()
    assert (descent.current_movie() > 127.5).all()


def test_several_encoders_share_their_mean_gradient(encoder, start):
    pair = encoder, CompactPixelEncoder(world.make_checkpoint(seed=5))
    both = stepped(start(encoders=pair), 1).current_movie()
    alone = [stepped(start(encoders=[each]), 1).current_movie() for each in pair]
    np.testing.assert_allclose(both, np.mean(alone, 0), atol=1e-3)


def test_encoders_of_several_kinds_are_refused(encoder, start):
    with pytest.raises(UserError, match="2 kinds of encoder"):
        start(encoders=(encoder, Bright()))


# -- resuming -------------------------------------------------------------------------


def test_a_resumed_descent_gives_the_same_movie_bit_for_bit(start, tmp_path):
    whole = stepped(start(), 12)
    stepped(start(), 7).save(tmp_path / "state.safetensors")
    again = start()
    again.resume(tmp_path / "state.safetensors")
    assert (again.n_steps, again.n_passes) == (7, 7 * 2)
    assert np.array_equal(stepped(again, 5).current_movie(), whole.current_movie())
    assert again.n_passes == whole.n_passes
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_the_batch_size_may_change_on_resume(start, tmp_path):
    stepped(start(), 2).save(tmp_path / "state.safetensors")
    start(settings=replace(SETTINGS, windows_at_once=1)).resume(
        tmp_path / "state.safetensors"
    )


OTHERS = {
    "activity": {"target": world.make_clip(40, seed=2).target},
    "length": {"target": world.make_clip(48).target},
    "behaviour": {
        "target": InversionTarget(CLIP.target.activity, CLIP.target.behavior + 1)
    },
    "neurons kept": {
        "target": replace(CLIP.target, used_neurons=np.arange(world.N_NEURONS) > 3)
    },
    "mask": {"mask": np.ones(IMAGE_SHAPE)},
    "settings": {"settings": replace(SETTINGS, stride_frames=16)},
}


@pytest.mark.parametrize("changed", OTHERS.values(), ids=OTHERS)
def test_the_state_of_another_descent_is_refused(start, tmp_path, changed):
    path = tmp_path / "state.safetensors"
    stepped(start(**changed), 1).save(path)
    with pytest.raises(UserError, match=r"state\.safetensors is not the state"):
        start().resume(path)


@pytest.mark.parametrize("content", [b"", b"not a tensor in sight", b"\0" * 64])
def test_a_file_that_is_no_state_is_refused(start, tmp_path, content):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="delete it to start again"):
        start().resume(path)
