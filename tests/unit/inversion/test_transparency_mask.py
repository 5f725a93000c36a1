"""A mask is clear where neurons look, and trained as published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.protocol import PADDED, VISIBLE
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.pixel_rates import CompactRates
from rtrecon.inversion.offline.target import Target
from rtrecon.inversion.offline.transparency_mask import MaskSettings, train_mask
from tests.support import inversion_world as world

LOOK = (slice(10, 22), slice(20, 44))  # rows, columns of the screen
N_FRAMES = 20
SETTINGS = MaskSettings(steps=60, first_frame=4, n_frames=12, rate=30.0)


class Window:
    """Neurons that each answer to one pixel inside of `LOOK`, and to nothing else."""

    past_frames = 0

    def __init__(self, frame_shape):
        above = (frame_shape[0] - VISIBLE[0]) // 2
        rows, columns = np.mgrid[LOOK]
        self.frame_shape = frame_shape
        self.pixels = rows.ravel() + above, columns.ravel()
        self.n_neurons = rows.size

    def rates(self, video, behavior):
        return video[..., self.pixels[0], self.pixels[1]] / 255


def trials(encoder, n_trials=4):
    """Noise movies, and what the encoder answers to them."""
    clips = []
    for seed in range(n_trials):
        generator = torch.Generator().manual_seed(seed)
        shown = 255 * torch.rand(N_FRAMES, *VISIBLE, generator=generator)
        around = (encoder.frame_shape[0] - VISIBLE[0]) // 2
        seen = torch.nn.functional.pad(shown, (0, 0, around, around))
        activity = encoder.rates(seen, None).numpy()
        target = Target(activity, np.zeros((N_FRAMES, 2)))
        clips.append(Clip(f"trial {seed}", target, shown.numpy()))
    return clips


@pytest.mark.parametrize("frame_shape", [VISIBLE, PADDED])
def test_the_mask_is_clear_where_neurons_look(frame_shape):
    encoder = Window(frame_shape)
    mask = train_mask(encoder, trials(encoder), SETTINGS)
    assert mask.shape == VISIBLE
    assert mask.dtype == np.float32
    looked_at = np.zeros(VISIBLE, bool)
    looked_at[LOOK] = True
    assert mask[looked_at].mean() > 0.4
    assert abs(mask[:, :8]).max() < 0.06  # as it began
    assert mask[looked_at].min() > mask[:, :8].max()


def test_the_seed_decides():
    encoder = Window(VISIBLE)
    few = replace(SETTINGS, steps=3)
    one, same, other = (
        train_mask(encoder, trials(encoder), few, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_it_begins_as_published_and_says_how_far_it_is():
    encoder, told = Window(VISIBLE), []
    none = replace(SETTINGS, steps=0)
    mask = train_mask(encoder, trials(encoder), none, report=lambda *r: told.append(r))
    assert 0 <= mask.min() < 0.01
    assert 0.04 < mask.max() <= 0.05
    assert told == [("mask", 1.0, "0 steps")]


def test_our_own_encoder_has_a_past_to_be_shown():
    clips = [world.clip(30, seed) for seed in (1, 2)]
    encoder = CompactRates(world.checkpoint())
    mask = train_mask(encoder, clips, replace(SETTINGS, first_frame=12))
    assert mask.mean() > 0.06  # neurons are everywhere


def test_lost_activity_moves_nothing():
    encoder = Window(VISIBLE)
    lost = [
        replace(
            clip,
            target=Target(
                np.full_like(clip.target.activity, np.nan), clip.target.behavior
            ),
        )
        for clip in trials(encoder)
    ]
    begun = train_mask(encoder, lost, replace(SETTINGS, steps=0))
    assert np.array_equal(train_mask(encoder, lost, SETTINGS), begun)


def test_too_few_trials_are_refused():
    encoder = Window(VISIBLE)
    clips = trials(encoder, 3)
    blind = replace(clips[1], shown=None)
    holed = replace(clips[2], shown=np.full_like(clips[2].shown, np.nan))
    with pytest.raises(UserError, match=r"1 of 3 trials can train a mask.* 16 frames"):
        train_mask(encoder, [clips[0], blind, holed], SETTINGS)
