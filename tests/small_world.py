"""One small mouse, and the encoder trained on a few minutes of its cortex."""

from __future__ import annotations

from pathlib import Path

import torch

from rtrecon import cli
from rtrecon.encoder.card import read_card
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import Session, World, make_session, make_world

N_NEURONS, SIDE_PX, MOUSE = 60, 128, 0
MINUTES, EPOCHS = 2.5, 12
THREADS = 1  # more only wait for each other where cores are shared
_NEW_MOVIE = 700  # a seed that training does not use


def train_small(path: Path) -> Path:
    """Train as `rtrecon train` does; half a minute or less."""
    torch.set_num_threads(THREADS)
    cli.train(path, MINUTES, N_NEURONS, MOUSE, EPOCHS, SIDE_PX)
    return path


def world_of(checkpoint: Path) -> World:
    """The mouse under its microscope, grown again from what the checkpoint says."""
    mouse = read_card(checkpoint).meta["simulated"]
    return make_world(mouse["n_neurons"], mouse["side_px"], mouse["mouse_seed"])


def new_session(world: World, seconds: float) -> Session:
    """A session of that mouse with a movie that its encoder was not trained on."""
    movie = natural_movie(round(seconds * RATE_HZ), _NEW_MOVIE)
    return make_session(world, movie, "new", _NEW_MOVIE)
