"""Neurons whose every number is known, what they answered to a movie, and its record.

Movies are drawn from the checkpoint's own prior and activity from its own encoder, so
that a method that inverts well has to find what was shown.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rtrecon.encoder.card import Card
from rtrecon.encoder.checkpoint import Calibration, Checkpoint, save
from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import Target
from rtrecon.metrics.similarity import video_correlation
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.tables import ActivityRow
from tests.support import session_tables
from tests.support.trained_encoder import scattered_rois

N_NEURONS = 200
FIELD = (32, 48)
COUNTS = 5.0  # events per unit of activity: what noise there is
LINEAR_NEURONS, LINEAR_FRAMES = 40, 120  # of a clip of the linear world
N_COEF, LATE = 20, 3  # coefficients that vary there; frames of delay
# Of behaviour, in the order of `BEHAVIOR`.
MEAN, SD = torch.tensor([30.0, 5.0, 150.0, 150.0]), torch.tensor([10.0, 4.0, 6.0, 6.0])


@functools.cache
def checkpoint(n_neurons: int = N_NEURONS, seed: int = 0) -> Checkpoint:
    """Simple and complex cells all over the screen, some of them slow."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    low, prior = spectrum(), natural_prior()
    centers = rng.uniform((0, 0), SHAPE, (n_neurons, 2))
    model = Compact(low.n_coef, n_neurons).requires_grad_(False)
    filters = gabors(centers, rng) @ low.basis.T
    seen = (filters.square() @ prior.variance).sqrt()
    model.filters = filters / seen[:, None]
    model.set_pool(centers)
    model.mix[0, 0, 0] = model.mix[1, 1, 0] = 1.0
    model.mix[0, 1, 2] = 0.3
    model.halves[:] = 0.0
    model.halves[0] = 1.0
    model.halves[1:, n_neurons // 2 :] = 1.0  # complex: all halves of both channels
    model.gain.normal_(0, 0.2, generator=torch.Generator().manual_seed(seed))
    calibration = Calibration(
        dispersion=torch.full((n_neurons,), 1 / COUNTS),
        behavior_mean=MEAN,
        behavior_sd=SD,
        identifiability=torch.ones(SHAPE),
        heard=torch.full((low.n_coef,), 0.1),
        temperature=0.25,
    )
    rois = scattered_rois(list(range(n_neurons)), FIELD)
    card = Card(Path("known.safetensors"), rois, np.ones((1, *FIELD), np.float32), {})
    return Checkpoint(card, model, prior, calibration)


def saved(path: Path, seed: int = 0, **meta: object) -> Path:
    """That encoder as a file."""
    known = checkpoint(seed=seed)
    save(replace(known, card=replace(known.card, path=path, meta=dict(meta))))
    return path


def natural_prior() -> Prior:
    """Coarse and slow before fine and fast."""
    cycles = spectrum().cycles
    spread, rho = 4.0 / (0.3 + 20 * cycles), torch.full_like(cycles, 0.98)
    q = spread * (1 - rho**2).sqrt()
    return Prior(torch.zeros_like(cycles), rho, q, doubt=spread / 2)


def gabors(centers: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Even ones, then their odd partners: (2 n, 2304)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]][:, None] - centers.T[:, :, None, None]
    angle, cycles = rng.uniform(0, 2 * np.pi, (2, len(centers), 1, 1))
    wave = 2j * np.pi * (0.02 + 0.01 * cycles) * (x * np.cos(angle) + y * np.sin(angle))
    pairs = np.exp(wave - (x**2 + y**2) / (2 * 4.0**2)).reshape(len(centers), -1)
    return torch.from_numpy(np.concatenate([pairs.real, pairs.imag])).float()


@functools.cache
def clip(n_frames: int = 96, seed: int = 1, neurons: int = N_NEURONS) -> Clip:
    """A movie, and single-trial activity of the neurons of `checkpoint(neurons)`."""
    known = checkpoint(neurons)
    generator = torch.Generator().manual_seed(seed)
    low, prior = spectrum(), known.prior
    z = torch.randn(MEMORY + n_frames, low.n_coef, generator=generator)
    movie = low.to_pixels(prior.unroll(z, prior.mean))
    told = torch.randn(n_frames, len(BEHAVIOR), generator=generator)
    expected = known.model.answer(known.model.look(low.from_pixels(movie)), told)
    activity = torch.poisson(expected * COUNTS, generator) / COUNTS
    behavior = MEAN + SD * told
    return Clip(
        name=f"clip-{seed}",
        target=Target(activity.numpy(), behavior.numpy()),
        shown=movie[MEMORY - 1 :],
        ids=known.card.rois.ids,
    )


@functools.cache
def linear_clip(seed: int, noise: float = 0.3) -> Clip:
    """A world without an encoder: neurons are weighted sums of a frame LATE ago."""
    low = spectrum()
    spread = torch.where(torch.arange(low.n_coef) < N_COEF, 4.0, 0.0)
    rho = torch.full_like(spread, 0.9)
    prior = Prior(0 * spread, rho, spread * (1 - 0.9**2) ** 0.5, doubt=spread)
    generator = torch.Generator().manual_seed(100 + seed)
    z = torch.randn(1 + LATE + LINEAR_FRAMES, low.n_coef, generator=generator)
    coef = prior.unroll(z, prior.mean)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(N_COEF, LINEAR_NEURONS)) / N_COEF**0.5 / 4
    activity = 5 + coef[:-LATE, :N_COEF].numpy() @ weights
    activity += noise * np.random.default_rng(seed).normal(size=activity.shape)
    target = Target(activity.astype(np.float32), np.zeros((LINEAR_FRAMES, 2)))
    return Clip(f"linear {seed}", target, low.to_pixels(coef)[LATE:])


def exchanged(target: Target) -> Target:
    """The same activity with its neurons in another order: a null."""
    order = np.random.default_rng(0).permutation(target.activity.shape[1])
    return Target(target.activity[:, order], target.behavior)


def pixel_r(made: np.ndarray, shown: np.ndarray) -> float:
    """r over all pixels, once the encoder has a past."""
    settled = slice(MEMORY, None)
    return video_correlation(made[settled], shown[settled])


def recorded(folder: Path, clip: Clip, first: int = 0) -> Path:
    """The clip as a session that a daemon recorded, from encoder frame `first` on."""
    about = session_tables.about(neuron_ids=clip.ids.tolist())
    recorder = Recorder(folder, about)
    for place, (activity, behavior) in enumerate(
        zip(clip.target.activity, clip.target.behavior, strict=True)
    ):
        row = ActivityRow(first + place, place, *behavior.tolist())
        recorder.activity(row, activity)
        recorder.stimulus(first + place, np.rint(clip.shown[place]).astype(np.uint8))
    recorder.close()
    return Session(recorder.path).path
