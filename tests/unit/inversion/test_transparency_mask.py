"""A transparency mask becomes clear where neurons respond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.base import PADDED_SHAPE
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.inversion.offline.transparency_mask import MaskSettings, train_mask
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from tests.support import inversion_world as world

LOOK = (slice(10, 22), slice(20, 44))  # rows, columns of the screen
N_FRAMES = 20
SETTINGS = MaskSettings(steps=60, first_frame=4, n_frames=12, rate=30.0)


class Window:
    """Neurons that each respond to one pixel inside `LOOK`, and to nothing else."""

    past_frames = 0

    def __init__(self, frame_shape):
        above = (frame_shape[0] - IMAGE_SHAPE[0]) // 2
        rows, columns = np.mgrid[LOOK]
        self.frame_shape = frame_shape
        self.pixels = rows.ravel() + above, columns.ravel()
        self.n_neurons = rows.size

    def predict_rates(self, video, behavior):
        return video[..., self.pixels[0], self.pixels[1]] / 255


def trials(encoder, n_trials=4):
    """Return noise movies with the encoder's prediction."""
    clips = []
    for seed in range(n_trials):
        generator = torch.Generator().manual_seed(seed)
        shown = 255 * torch.rand(N_FRAMES, *IMAGE_SHAPE, generator=generator)
        around = (encoder.frame_shape[0] - IMAGE_SHAPE[0]) // 2
        seen = torch.nn.functional.pad(shown, (0, 0, around, around))
        activity = encoder.predict_rates(seen, None).numpy()
        target = InversionTarget(activity, np.zeros((N_FRAMES, 2)))
        clips.append(Clip(f"trial {seed}", target, shown.numpy()))
    return clips


@pytest.mark.parametrize("frame_shape", [IMAGE_SHAPE, PADDED_SHAPE])
def test_the_mask_is_clear_where_neurons_respond(frame_shape):
    encoder = Window(frame_shape)
    mask = train_mask(encoder, trials(encoder), SETTINGS)
    assert mask.shape == IMAGE_SHAPE
    assert mask.dtype == np.float32
    looked_at = np.zeros(IMAGE_SHAPE, bool)
    looked_at[LOOK] = True
    assert mask[looked_at].mean() > 0.4
    assert abs(mask[:, :8]).max() < 0.06  # as it began
    assert mask[looked_at].min() > mask[:, :8].max()


def test_the_seed_determines_the_mask():
    encoder = Window(IMAGE_SHAPE)
    few = replace(SETTINGS, steps=3)
    one, same, other = (
        train_mask(encoder, trials(encoder), few, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_training_starts_as_published_and_reports_progress():
    encoder, reports = Window(IMAGE_SHAPE), []
    none = replace(SETTINGS, steps=0)
    mask = train_mask(
        encoder, trials(encoder), none, on_progress=lambda *r: reports.append(r)
    )
    assert 0 <= mask.min() < 0.01
    assert 0.04 < mask.max() <= 0.05
    assert reports == [("mask", 1.0, "0 steps")]


def test_an_encoder_with_past_frames_is_supported():
    clips = [world.make_clip(30, seed) for seed in (1, 2)]
    encoder = CompactPixelEncoder(world.make_checkpoint())
    mask = train_mask(encoder, clips, replace(SETTINGS, first_frame=12))
    assert mask.mean() > 0.06  # neurons are everywhere


def test_lost_activity_has_no_gradient():
    encoder = Window(IMAGE_SHAPE)
    lost = [
        replace(
            clip,
            target=InversionTarget(
                np.full_like(clip.target.activity, np.nan), clip.target.behavior
            ),
        )
        for clip in trials(encoder)
    ]
    begun = train_mask(encoder, lost, replace(SETTINGS, steps=0))
    assert np.array_equal(train_mask(encoder, lost, SETTINGS), begun)


def test_too_few_trials_are_refused():
    encoder = Window(IMAGE_SHAPE)
    clips = trials(encoder, 3)
    blind = replace(clips[1], stimulus=None)
    holed = replace(clips[2], stimulus=np.full_like(clips[2].stimulus, np.nan))
    with pytest.raises(UserError, match=r"1 of 3 trials can train a mask.* 16 frames"):
        train_mask(encoder, [clips[0], blind, holed], SETTINGS)
