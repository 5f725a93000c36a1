"""A box of another clip: each neuron answers as far as it looks into it."""

from __future__ import annotations

import numpy as np
import torch

from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.cutmix import cutmix
from rtrecon.training.compact.data import Data
from rtrecon.training.compact.patches import windows

T = 20
LOW = spectrum()
CENTERS = np.array([[8.0, 10.0], [28.0, 50.0], [18.0, 32.0]])


def clip(level: float, activity: float) -> Data:
    movie = np.full((T, *SHAPE), 127 + 60 * level, np.float32)
    n = len(CENTERS)
    return Data(
        LOW.from_pixels(movie),
        torch.full((T, len(BEHAVIOR)), level),
        torch.full((T, n), activity),
    )


def mixed(seed: int) -> Data:
    looks = windows(CENTERS), LOW.basis
    rng = np.random.default_rng(seed)
    return cutmix(clip(0.0, 0.0), clip(1.0, 1.0), looks, rng)


def test_activity_is_mixed_by_what_each_neuron_sees():
    """A neuron in the box answers to it, one far from it does not, however large."""
    for seed in range(30):
        made = mixed(seed)
        seen = (made.coef[0] @ LOW.basis).reshape(SHAPE).numpy()
        for window, share in zip(windows(CENTERS), made.activity[0], strict=True):
            window = window.reshape(SHAPE).numpy()
            looked_at = (seen * window).sum() / window.sum()
            assert abs(looked_at - float(share)) < 0.05


def test_boxes_are_of_any_size_and_mix_behaviour_by_it():
    shares = []
    for seed in range(200):
        made = mixed(seed)
        shares.append(float(made.behavior[0, 0]))
        brightness = (made.coef[0] @ LOW.basis).mean()
        assert abs(float(brightness) - shares[-1]) < 0.01
    assert min(shares) < 0.05
    assert max(shares) > 0.7


def test_unknown_activity_stays_unknown():
    lost = clip(1.0, 1.0)
    lost.activity[5, 1] = torch.nan
    rng = np.random.default_rng(0)
    made = cutmix(clip(0.0, 0.0), lost, (windows(CENTERS), LOW.basis), rng)
    assert made.activity.isnan().nonzero().tolist() == [[5, 1]]
