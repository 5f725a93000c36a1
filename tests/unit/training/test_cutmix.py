"""CutMix: activity is mixed by the share of a neuron's window in the pasted box."""

from __future__ import annotations

import numpy as np
import torch

from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from rtrecon.training.compact.cutmix import apply_cutmix
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.compact.patches import make_spatial_windows

T = 8
LOW = make_dct_basis()
CENTERS = np.array([[8.0, 10.0], [28.0, 50.0], [18.0, 32.0]])


def make_clip(level: float, activity: float) -> EncoderData:
    movie = np.full((T, *IMAGE_SHAPE), 127 + 60 * level, np.float32)
    n = len(CENTERS)
    return EncoderData(
        LOW.from_pixels(movie),
        torch.full((T, len(BEHAVIOR)), level),
        torch.full((T, n), activity),
    )


def mix_clips(seed: int) -> EncoderData:
    window_and_basis = make_spatial_windows(CENTERS), LOW.vectors
    rng = np.random.default_rng(seed)
    return apply_cutmix(
        make_clip(0.0, 0.0), make_clip(1.0, 1.0), window_and_basis, rng, IMAGE_SHAPE
    )


def test_activity_is_mixed_by_the_share_of_the_window_in_the_box():
    """A neuron inside the box takes its activity, one far from it does not."""
    for seed in range(30):
        mixed = mix_clips(seed)
        seen = (mixed.coef[0] @ LOW.vectors).reshape(IMAGE_SHAPE).numpy()
        for window, share in zip(
            make_spatial_windows(CENTERS), mixed.activity[0], strict=True
        ):
            window = window.reshape(IMAGE_SHAPE).numpy()
            share_in_window = (seen * window).sum() / window.sum()
            assert abs(share_in_window - float(share)) < 0.05


def test_boxes_have_any_size_and_mix_behavior_by_their_area():
    shares = []
    for seed in range(80):
        mixed = mix_clips(seed)
        shares.append(float(mixed.behavior[0, 0]))
        brightness = (mixed.coef[0] @ LOW.vectors).mean()
        assert abs(float(brightness) - shares[-1]) < 0.01
    assert min(shares) < 0.05
    assert max(shares) > 0.7


def test_unknown_activity_stays_unknown():
    lost = make_clip(1.0, 1.0)
    lost.activity[5, 1] = torch.nan
    rng = np.random.default_rng(0)
    mixed = apply_cutmix(
        make_clip(0.0, 0.0),
        lost,
        (make_spatial_windows(CENTERS), LOW.vectors),
        rng,
        IMAGE_SHAPE,
    )
    assert mixed.activity.isnan().nonzero().tolist() == [[5, 1]]
