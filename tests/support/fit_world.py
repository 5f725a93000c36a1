"""Simulated neurons of known kinds and the movies that drive them, to test fitting."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from rtrecon.training.compact import gabor_initialization
from rtrecon.training.compact.encoder_data import EncoderData

LOW = make_dct_basis()

# kind -> smallest r that a fit has to reach on validation clips; chance is 0.1
KINDS = {"simple": 0.7, "energy": 0.45, "direction": 0.4}

# receptive-field centers of each kind's neurons, y and x in px
CENTERS = np.array([[10.0, 15.0], [22.0, 48.0], [16.0, 31.0], [27.0, 12.0]])


def make_movie(n_frames, seed):
    """Coefficients (n_frames, C) that change slowly and are coarse rather than fine."""
    rng = np.random.default_rng(seed)
    spread = (1 / (0.03 + LOW.cycles_per_px.numpy())).clip(max=15) / 4
    coef = np.empty((n_frames, LOW.n_coef), np.float32)
    state = np.zeros(LOW.n_coef)
    for t in range(n_frames):
        state = 0.85 * state + 0.53 * rng.normal(size=LOW.n_coef)
        coef[t] = spread * state
    return torch.from_numpy(coef)


def make_gabor_pair(center, angle):
    y, x = np.mgrid[: IMAGE_SHAPE[0], : IMAGE_SHAPE[1]] - center[:, None, None]
    wave = 2j * np.pi * 0.09 * (x * np.cos(angle) + y * np.sin(angle))
    pair = np.exp(wave - (x**2 + y**2) / (2 * 3.0**2)).reshape(1, -1)
    return np.concatenate([pair.real, pair.imag]).astype(np.float32)


def compute_drive(kind, pair):
    """The drive of a neuron of that kind from the outputs (2, T) of its filters."""
    now, before = pair[:, 4:], pair[:, :-4]
    match kind:
        case "simple":
            return np.maximum(now[0], 0)
        case "energy":
            return np.hypot(*now)
        case _:
            return np.hypot(now[0] + before[1], now[1] - before[0])


@functools.cache
def make_fit_data(n_frames, seed, turn=0.0):
    """Data with noise of neurons of each kind at each of the centers.

    turn: rad by which filters are rotated against those of other animals.
    """
    rng = np.random.default_rng(seed)
    coef = make_movie(n_frames, seed)
    pixels = (coef @ LOW.vectors).numpy().T
    activity = np.zeros((n_frames, len(KINDS) * len(CENTERS)), np.float32)
    neurons = [(kind, center) for kind in KINDS for center in CENTERS]
    for i, (kind, center) in enumerate(neurons):
        pair = make_gabor_pair(center, angle=0.7 * i + turn) @ pixels
        driven = compute_drive(kind, pair)
        # Activity follows the movie by one frame.
        activity[5:, i] = (driven / driven.mean())[:-1] ** 1.5
    activity *= rng.gamma(8, 1 / 8, activity.shape)
    behavior = torch.zeros(n_frames, len(BEHAVIOR))
    return EncoderData(coef, behavior, torch.from_numpy(activity.astype(np.float32)))


@contextlib.contextmanager
def cache_gabor_pairs() -> Iterator[None]:
    """Compute the bank of Gabors once; it is the same for every fit."""
    pairs = functools.cache(gabor_initialization._make_gabor_pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gabor_initialization, "_make_gabor_pairs", pairs)
        yield


@contextlib.contextmanager
def use_small_gabor_bank() -> Iterator[None]:
    """Start fits from Gabors of one size on a coarse grid, and make them once.

    How well an encoder fits is a matter of tests/slow/test_fit_encoder.py, which
    uses the real bank.
    """
    with pytest.MonkeyPatch.context() as patch, cache_gabor_pairs():
        patch.setattr(gabor_initialization, "_SCALES", ((3.0, 9.0, 0.09),))
        yield
