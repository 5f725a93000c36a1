"""One small mouse, and the encoder trained on a few minutes of its cortex."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rtrecon.cli import analysis
from rtrecon.encoder.card import Card, read_card
from rtrecon.encoder.checkpoint import Calibration, Checkpoint
from rtrecon.encoder.compact import Compact
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.rois import roi_set
from rtrecon.rois.roi_set import RoiSet
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import Session, World, make_session, make_world

N_NEURONS, SIDE_PX, MOUSE = 60, 128, 0
MINUTES, EPOCHS = 2.5, 12
THREADS = 1  # more only wait for each other where cores are shared
_NEW_MOVIE = 700  # a seed that training does not use


def train_small(path: Path) -> Path:
    """Train as `rtrecon train` does; half a minute or less."""
    torch.set_num_threads(THREADS)
    analysis.train(path, MINUTES, N_NEURONS, MOUSE, EPOCHS, SIDE_PX)
    return path


def untrained(path: Path, ids: list[int], shape: tuple[int, int]) -> Checkpoint:
    """A checkpoint in which no two numbers are alike, and none means anything."""
    torch.manual_seed(0)
    n, n_coef = len(ids), spectrum().n_coef
    model = Compact(n_coef, n).requires_grad_(False)
    for tensor in model.state_dict().values():
        tensor.uniform_(0.1, 1)
    meta = {"validation_r": 0.3, "simulated": {"mouse_seed": 4}}
    mean_image = torch.rand(1, *shape).numpy()
    return Checkpoint(
        card=Card(path, scattered_rois(ids, shape), mean_image, meta),
        model=model,
        prior=Prior(*torch.rand(4, n_coef)),
        calibration=Calibration(
            dispersion=torch.rand(n),
            behavior_mean=torch.rand(len(BEHAVIOR)),
            behavior_sd=torch.rand(len(BEHAVIOR)),
            identifiability=torch.rand(SHAPE),
            heard=torch.rand(n_coef),
            temperature=0.25,
        ),
    )


def scattered_rois(ids: list[int], shape: tuple[int, int]) -> RoiSet:
    """Masks of four pixels each, anywhere on the field."""
    rng = np.random.default_rng(0)
    pixels = [(*rng.integers(0, shape, (4, 2)).T, rng.random(4)) for _ in ids]
    return roi_set.from_pixels(np.array(ids), shape, pixels)


def world_of(checkpoint: Path) -> World:
    """The mouse under its microscope, grown again from what the checkpoint says."""
    mouse = read_card(checkpoint).meta["simulated"]
    return make_world(mouse["n_neurons"], mouse["side_px"], mouse["mouse_seed"])


def new_session(world: World, seconds: float) -> Session:
    """A session of that mouse with a movie that its encoder was not trained on."""
    movie = natural_movie(round(seconds * RATE_HZ), _NEW_MOVIE)
    return make_session(world, movie, "new", _NEW_MOVIE)
