"""Neurons of known kinds, and the movies that drive them: what a fit has to find."""

from __future__ import annotations

import numpy as np
import torch

from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.data import Data

LOW = spectrum()

# kind -> r with clips not trained on that a fit has to reach; about 0.1 is chance
KINDS = {"simple": 0.7, "energy": 0.45, "direction": 0.4}

# where each kind's neurons look, y and x in px
CENTERS = np.array([[10.0, 15.0], [22.0, 48.0], [16.0, 31.0], [27.0, 12.0]])


def some_movie(n_frames, seed):
    """Coefficients (n_frames, C) that change slowly and are coarse rather than fine."""
    rng = np.random.default_rng(seed)
    spread = (1 / (0.03 + LOW.cycles.numpy())).clip(max=15) / 4
    coef = np.empty((n_frames, LOW.n_coef), np.float32)
    state = np.zeros(LOW.n_coef)
    for t in range(n_frames):
        state = 0.85 * state + 0.53 * rng.normal(size=LOW.n_coef)
        coef[t] = spread * state
    return torch.from_numpy(coef)


def gabor_pair(center, angle):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] - center[:, None, None]
    wave = 2j * np.pi * 0.09 * (x * np.cos(angle) + y * np.sin(angle))
    pair = np.exp(wave - (x**2 + y**2) / (2 * 3.0**2)).reshape(1, -1)
    return np.concatenate([pair.real, pair.imag]).astype(np.float32)


def drive(kind, pair):
    """What a neuron of that kind makes of its pair of filters' outputs (2, T)."""
    now, before = pair[:, 4:], pair[:, :-4]
    match kind:
        case "simple":
            return np.maximum(now[0], 0)
        case "energy":
            return np.hypot(*now)
        case _:
            return np.hypot(now[0] + before[1], now[1] - before[0])


def world(n_frames, seed, turn=0.0):
    """Data in which neurons of each kind look at each of the centres, with noise.

    turn: rad by which their filters differ from those of other animals.
    """
    rng = np.random.default_rng(seed)
    coef = some_movie(n_frames, seed)
    activity = np.zeros((n_frames, len(KINDS) * len(CENTERS)), np.float32)
    neurons = [(kind, center) for kind in KINDS for center in CENTERS]
    for i, (kind, center) in enumerate(neurons):
        pair = gabor_pair(center, angle=0.7 * i + turn) @ (coef @ LOW.basis).numpy().T
        driven = drive(kind, pair)
        # The newest frame that counts was shown one frame before.
        activity[5:, i] = (driven / driven.mean())[:-1] ** 1.5
    activity *= rng.gamma(8, 1 / 8, activity.shape)
    behavior = torch.zeros(n_frames, len(BEHAVIOR))
    return Data(coef, behavior, torch.from_numpy(activity.astype(np.float32)))
