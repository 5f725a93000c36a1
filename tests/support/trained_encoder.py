"""A small simulated mouse, and the encoder trained on a few minutes of it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch

from rtrecon.cli import training as commands
from rtrecon.encoder.card import Card, read_card
from rtrecon.encoder.checkpoint import Calibration, Checkpoint
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.prior import Prior
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.rois import roi_set
from rtrecon.rois.roi_set import RoiSet
from rtrecon.simulate.imaged_mouse import (
    ImagedMouse,
    make_imaged_mouse,
    read_imaged_mouse,
)
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import SimulatedSession, simulate_session
from rtrecon.stimulus_space.video import IMAGE_SHAPE

N_NEURONS, SIDE_PX, MOUSE = 60, 128, 0
MINUTES, EPOCHS = 2.0, 6
THREADS = 1  # more threads wait for each other where cores are shared
_NEW_MOVIE = 700  # a seed that training does not use


def train_small(path: Path) -> Path:
    """Train as `rtrecon train` does; a quarter of a minute or less."""
    torch.set_num_threads(THREADS)
    commands.train(path, MINUTES, N_NEURONS, MOUSE, EPOCHS, SIDE_PX)
    return path


def make_untrained_checkpoint(
    path: Path, ids: list[int], shape: tuple[int, int]
) -> Checkpoint:
    """A checkpoint of random numbers, no two alike."""
    torch.manual_seed(0)
    n, n_coef = len(ids), make_dct_basis().n_coef
    model = CompactEncoder(n_coef, n).requires_grad_(False)
    for tensor in model.state_dict().values():
        tensor.uniform_(0.1, 1)
    meta = {"validation_r": 0.3, "simulated": {"mouse_seed": 4}}
    mean_image = torch.rand(1, *shape).numpy()
    return Checkpoint(
        card=Card(path, make_scattered_rois(ids, shape), mean_image, meta),
        encoder=model,
        prior=Prior(*torch.rand(4, n_coef)),
        calibration=Calibration(
            dispersion=torch.rand(n),
            behavior_mean=torch.rand(len(BEHAVIOR)),
            behavior_sd=torch.rand(len(BEHAVIOR)),
            identifiability=torch.rand(IMAGE_SHAPE),
            innovation_power=torch.rand(n_coef),
            data_weight=0.25,
        ),
    )


def make_scattered_rois(ids: list[int], shape: tuple[int, int]) -> RoiSet:
    """Masks of four pixels each, anywhere on the field."""
    rng = np.random.default_rng(0)
    pixels = [(*rng.integers(0, shape, (4, 2)).T, rng.random(4)) for _ in ids]
    return roi_set.build_roi_set(np.array(ids), shape, pixels)


def rebuild_world(checkpoint: Path) -> ImagedMouse:
    """Return the imaged mouse, simulated from the metadata of its checkpoint."""
    card = read_card(checkpoint)
    return _make_mouse(read_imaged_mouse(card.metadata, card.path))


_make_mouse = functools.cache(make_imaged_mouse)


def make_new_session(world: ImagedMouse, seconds: float) -> SimulatedSession:
    """A session of that mouse with a movie that its encoder was not trained on."""
    movie = make_natural_movie(round(seconds * RATE_HZ), _NEW_MOVIE)
    return simulate_session(world, movie, "new", _NEW_MOVIE)
