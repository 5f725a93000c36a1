"""A simulated population with known parameters, its activity, and recorded sessions.

Movies are drawn from the checkpoint's prior and activity from its encoder, so
that a method that inverts well finds the stimulus.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rtrecon.encoder.card import Card
from rtrecon.encoder.checkpoint import Calibration, Checkpoint, save_checkpoint
from rtrecon.encoder.compact import MEMORY_FRAMES, CompactEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.prior import Prior
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.metrics.similarity import video_correlation
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.tables import ActivityRow
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from tests.support import session_tables
from tests.support.trained_encoder import make_scattered_rois

N_NEURONS = 200
FIELD = (32, 48)
COUNTS = 5.0  # events per unit of activity: what noise there is
LINEAR_NEURONS, LINEAR_FRAMES = 40, 120  # of a clip of the linear world
N_COEF, LATE = 20, 3  # coefficients that vary there; frames of delay
# Of behaviour, in the order of `BEHAVIOR`.
MEAN, SD = torch.tensor([30.0, 5.0, 150.0, 150.0]), torch.tensor([10.0, 4.0, 6.0, 6.0])


@functools.cache
def make_checkpoint(n_neurons: int = N_NEURONS, seed: int = 0) -> Checkpoint:
    """Return an encoder of simple and complex cells, some of them slow."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    basis, prior = make_dct_basis(), make_natural_prior()
    centers = rng.uniform((0, 0), IMAGE_SHAPE, (n_neurons, 2))
    model = CompactEncoder(basis.n_coef, n_neurons).requires_grad_(False)
    filters = make_gabors(centers, rng) @ basis.vectors.T
    seen = (filters.square() @ prior.variance).sqrt()
    model.spatial_filters = filters / seen[:, None]
    model.set_normalization_pool(centers)
    model.temporal_weights[0, 0, 0] = model.temporal_weights[1, 1, 0] = 1.0
    model.temporal_weights[0, 1, 2] = 0.3
    model.rectifier_weights[:] = 0.0
    model.rectifier_weights[0] = 1.0
    model.rectifier_weights[1:, n_neurons // 2 :] = (
        1.0  # complex: all halves of both channels
    )
    model.behavior_gain.normal_(0, 0.2, generator=torch.Generator().manual_seed(seed))
    calibration = Calibration(
        dispersion=torch.full((n_neurons,), 1 / COUNTS),
        behavior_mean=MEAN,
        behavior_sd=SD,
        identifiability=torch.ones(IMAGE_SHAPE),
        innovation_power=torch.full((basis.n_coef,), 0.1),
        data_weight=0.25,
    )
    rois = make_scattered_rois(list(range(n_neurons)), FIELD)
    card = Card(
        Path("checkpoint.safetensors"), rois, np.ones((1, *FIELD), np.float32), {}
    )
    return Checkpoint(card, model, prior, calibration)


def save_encoder(path: Path, seed: int = 0, **meta: object) -> Path:
    """Save that encoder to a file."""
    checkpoint = make_checkpoint(seed=seed)
    save_checkpoint(
        replace(
            checkpoint, card=replace(checkpoint.card, path=path, metadata=dict(meta))
        )
    )
    return path


def make_natural_prior() -> Prior:
    """Return a prior in which coarse structure is strong."""
    cycles = make_dct_basis().cycles_per_px
    spread, rho = 4.0 / (0.3 + 20 * cycles), torch.full_like(cycles, 0.98)
    q = spread * (1 - rho**2).sqrt()
    return Prior(torch.zeros_like(cycles), rho, q, frame_error_sd=spread / 2)


def make_gabors(centers: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Return even Gabor filters, then the odd ones: (2 n, 2304)."""
    y, x = (
        np.mgrid[: IMAGE_SHAPE[0], : IMAGE_SHAPE[1]][:, None]
        - centers.T[:, :, None, None]
    )
    angle, cycles = rng.uniform(0, 2 * np.pi, (2, len(centers), 1, 1))
    wave = 2j * np.pi * (0.02 + 0.01 * cycles) * (x * np.cos(angle) + y * np.sin(angle))
    pairs = np.exp(wave - (x**2 + y**2) / (2 * 4.0**2)).reshape(len(centers), -1)
    return torch.from_numpy(np.concatenate([pairs.real, pairs.imag])).float()


@functools.cache
def make_clip(n_frames: int = 96, seed: int = 1, neurons: int = N_NEURONS) -> Clip:
    """Return a movie, and single-trial activity of `make_checkpoint(neurons)`."""
    checkpoint = make_checkpoint(neurons)
    generator = torch.Generator().manual_seed(seed)
    basis, prior = make_dct_basis(), checkpoint.prior
    z = torch.randn(MEMORY_FRAMES + n_frames, basis.n_coef, generator=generator)
    movie = basis.to_pixels(prior.generate_frames(z, prior.mean))
    standardized = torch.randn(n_frames, len(BEHAVIOR), generator=generator)
    expected = checkpoint.encoder.predict_from_filtered(
        checkpoint.encoder.apply_spatial_filters(basis.from_pixels(movie)), standardized
    )
    activity = torch.poisson(expected * COUNTS, generator) / COUNTS
    behavior = MEAN + SD * standardized
    return Clip(
        name=f"clip-{seed}",
        target=InversionTarget(activity.numpy(), behavior.numpy()),
        stimulus=movie[MEMORY_FRAMES - 1 :],
        neuron_ids=checkpoint.card.rois.ids,
    )


@functools.cache
def make_linear_clip(seed: int, noise: float = 0.3) -> Clip:
    """Return a clip of neurons that are weighted sums of the frame LATE frames ago."""
    basis = make_dct_basis()
    spread = torch.where(torch.arange(basis.n_coef) < N_COEF, 4.0, 0.0)
    rho = torch.full_like(spread, 0.9)
    prior = Prior(0 * spread, rho, spread * (1 - 0.9**2) ** 0.5, frame_error_sd=spread)
    generator = torch.Generator().manual_seed(100 + seed)
    z = torch.randn(1 + LATE + LINEAR_FRAMES, basis.n_coef, generator=generator)
    coef = prior.generate_frames(z, prior.mean)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(N_COEF, LINEAR_NEURONS)) / N_COEF**0.5 / 4
    activity = 5 + coef[:-LATE, :N_COEF].numpy() @ weights
    activity += noise * np.random.default_rng(seed).normal(size=activity.shape)
    target = InversionTarget(activity.astype(np.float32), np.zeros((LINEAR_FRAMES, 2)))
    return Clip(f"linear {seed}", target, basis.to_pixels(coef)[LATE:])


def exchange_activity(target: InversionTarget) -> InversionTarget:
    """Return the same activity with the neurons in another order: a null."""
    order = np.random.default_rng(0).permutation(target.activity.shape[1])
    return InversionTarget(target.activity[:, order], target.behavior)


def compute_pixel_r(reconstructed: np.ndarray, stimulus: np.ndarray) -> float:
    """Return r over all pixels after the encoder's memory is filled."""
    counted = slice(MEMORY_FRAMES, None)
    return video_correlation(reconstructed[counted], stimulus[counted])


def record_clip(folder: Path, clip: Clip, first: int = 0) -> Path:
    """Record the clip as a session that starts at encoder frame `first`."""
    about = session_tables.make_about(neuron_ids=clip.neuron_ids.tolist())
    recorder = Recorder(folder, about)
    for index, (activity, behavior) in enumerate(
        zip(clip.target.activity, clip.target.behavior, strict=True)
    ):
        row = ActivityRow(first + index, index, *behavior.tolist())
        recorder.add_activity(row, activity)
        recorder.add_stimulus(
            first + index, np.rint(clip.stimulus[index]).astype(np.uint8)
        )
    recorder.close()
    return Session(recorder.path).path
