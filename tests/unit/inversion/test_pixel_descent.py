"""The published descent: what moves, by how much, and going on where it stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.protocol import PADDED, VISIBLE
from rtrecon.inversion.offline.pixel_descent import FREE_FROM, Descent
from rtrecon.inversion.offline.pixel_rates import CompactRates
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import Target
from rtrecon.inversion.offline.window_gradients import WindowGradients
from tests.support import inversion_world as world

SETTINGS = PublishedSettings()
CLIP = world.clip(40)


@pytest.fixture(scope="module")
def encoder():
    return CompactRates(world.checkpoint())


@pytest.fixture
def start(encoder):
    def begun(target=CLIP.target, mask=None, settings=SETTINGS, encoders=(encoder,)):
        return Descent(encoders, target, mask, settings)

    return begun


class Bright:
    """One neuron that counts what is bright anywhere on a padded frame."""

    n_neurons, past_frames, frame_shape = 1, 0, PADDED

    def rates(self, video, behavior):
        return video.mean((-1, -2))[..., None] / 255 + 0.01


def stepped(descent, n_steps):
    for _ in range(n_steps):
        descent.step()
    return descent


def test_it_begins_gray(start):
    movie = start().movie()
    assert movie.dtype == np.float32
    assert movie.shape == (40, *VISIBLE)
    assert (movie == 127.5).all()


def test_first_steps_follow_the_published_formula(encoder, start):
    descent = start()
    slopes = WindowGradients(encoder, CLIP.target, SETTINGS)
    video = torch.full((descent._past + 40, *VISIBLE), 127.5)
    momentum = torch.zeros_like(video)
    for i in (1, 2, 3):
        gradient = slopes.mean(video)
        gradient[: descent._past] = 0
        momentum = 0.9 * momentum + 0.1 * gradient
        rate = 1000 * i / 10 * (1 - 0.999 ** (i + 1)) ** 0.5 / (1 - 0.9 ** (i + 1))
        video = (video - rate * momentum / (1 - 0.9 ** (i + 1))).clamp(0, 255)
        descent.step()
        expected = video[descent._past :].numpy()
        np.testing.assert_allclose(descent.movie(), expected, atol=1e-3)
    assert np.abs(expected - 127.5).max() > 1


def test_pixels_keep_to_what_a_screen_can_show(start):
    movie = stepped(start(settings=replace(SETTINGS, rate=1e6)), 5).movie()
    assert (movie.min(), movie.max()) == (0, 255)


def test_only_pixels_under_the_mask_move(start):
    mask = np.zeros(VISIBLE)
    mask[10:20, 30:50], mask[5, 5] = FREE_FROM, FREE_FROM - 0.01
    moved = (stepped(start(mask=mask), 3).movie() != 127.5).any(0)
    assert (moved == (mask >= FREE_FROM)).all()


@pytest.mark.parametrize("pad", [127.5, 0.0])
def test_rows_around_the_visible_ones_move_too_where_nothing_forbids(pad):
    target = Target(np.ones((32, 1)), np.zeros((32, 2)))
    descent = Descent([Bright()], target, None, replace(SETTINGS, pad=pad))
    assert (descent._video[:, 0] == pad).all()
    stepped(descent, 3)
    assert (descent._video[:, 0] > pad).all()
    mask = np.ones(VISIBLE)  # covers what is visible, not the rows around
    descent = Descent([Bright()], target, mask, replace(SETTINGS, pad=pad))
    assert (stepped(descent, 3)._video[:, 0] == pad).all()
    assert (descent.movie() > 127.5).all()


def test_encoders_move_one_movie_by_their_mean_gradient(encoder, start):
    pair = encoder, CompactRates(world.checkpoint(seed=5))
    both = stepped(start(encoders=pair), 1).movie()
    alone = [stepped(start(encoders=[each]), 1).movie() for each in pair]
    np.testing.assert_allclose(both, np.mean(alone, 0), atol=1e-3)


def test_encoders_of_several_kinds_are_refused(encoder, start):
    with pytest.raises(UserError, match="2 kinds of encoder"):
        start(encoders=(encoder, Bright()))


# -- going on --------------------------------------------------------------------------


def test_going_on_gives_the_same_movie_to_the_bit(start, tmp_path):
    whole = stepped(start(), 12)
    stepped(start(), 7).save(tmp_path / "state.safetensors")
    again = start()
    again.resume(tmp_path / "state.safetensors")
    assert (again.steps, again.passes) == (7, 7 * 2)
    assert np.array_equal(stepped(again, 5).movie(), whole.movie())
    assert again.passes == whole.passes
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_memory_may_change_in_between(start, tmp_path):
    stepped(start(), 2).save(tmp_path / "state.safetensors")
    start(settings=replace(SETTINGS, windows_at_once=1)).resume(
        tmp_path / "state.safetensors"
    )


OTHERS = {
    "activity": {"target": world.clip(40, seed=2).target},
    "length": {"target": world.clip(48).target},
    "behaviour": {"target": Target(CLIP.target.activity, CLIP.target.behavior + 1)},
    "neurons kept": {
        "target": replace(CLIP.target, kept=np.arange(world.N_NEURONS) > 3)
    },
    "mask": {"mask": np.ones(VISIBLE)},
    "settings": {"settings": replace(SETTINGS, stride_frames=16)},
}


@pytest.mark.parametrize("changed", OTHERS.values(), ids=OTHERS)
def test_the_beginning_of_another_movie_is_refused(start, tmp_path, changed):
    path = tmp_path / "state.safetensors"
    stepped(start(**changed), 1).save(path)
    with pytest.raises(UserError, match=r"state\.safetensors is not the beginning"):
        start().resume(path)


@pytest.mark.parametrize("content", [b"", b"not a tensor in sight", b"\0" * 64])
def test_a_file_of_something_else_is_refused(start, tmp_path, content):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="delete it to begin anew"):
        start().resume(path)
