"""A small published network, its prior, and simulated activity.

The weights are random; the readout is scaled so that neurons differ and respond to
movies. Such a network has little spatial resolution, so its movies consist of
brightness and slow gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rtrecon.datasets.sensorium.trial import SensoriumTrial
from rtrecon.datasets.sensorium.write import NeuronTable, write_folder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.dwiseneuro.author_files import MouseModel
from rtrecon.encoder.dwiseneuro.inference import (
    WINDOW_SPAN_FRAMES,
    DwiseNeuroEncoder,
    pad_frames,
)
from rtrecon.encoder.dwiseneuro.live import (
    LiveDwiseNeuro,
    RecordingFit,
    coefficients_to_pixels,
)
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.encoder.dwiseneuro.network import Architecture, DwiseNeuro
from rtrecon.encoder.prior import Prior
from rtrecon.inversion.objective import InverseProblem

SIZES = Architecture(
    core_features=(4, 8),
    spatial_strides=(4, 4),
    expansion_ratio=1,
    se_reduce_ratio=2,
    cortex_features=(16, 24),
)
N_NEURONS, PAST = 40, WINDOW_SPAN_FRAMES - 1
MEAN_BEHAVIOR = (40.0, 2.0, 150.0, 145.0)  # behaviour, in the order of `BEHAVIOR`
MEAN, SD = torch.tensor(MEAN_BEHAVIOR), torch.tensor([8.0, 1.5, 1.0, 1.5])
DATA_WEIGHT = 0.5
LOW = make_dct_basis()


@functools.cache
def make_network(seed: int = 0) -> DwiseNeuro:
    """Return a network whose neurons have the same mean and s.d. of drive."""
    torch.manual_seed(seed)
    network = DwiseNeuro(SIZES, {0: N_NEURONS}).requires_grad_(False)
    video = pad_frames(
        coefficients_to_pixels(make_movie(128, seed=9), LOW.vectors)
    ).view(8, 1, 16, 64, 64)
    standardized = (
        torch.tensor(MEAN_BEHAVIOR).view(1, 4, 1, 1, 1).expand(8, 4, 16, 1, 1)
    )
    readout = network.readouts["0"].layer
    drive = (
        readout(network.cortex(network.core(video, standardized)))
        .transpose(0, 1)
        .flatten(1)
    )
    louder = 30 / drive.std(1)
    readout[1].weight *= louder[:, None, None]
    readout[1].bias.copy_((readout[1].bias - drive.mean(1)) * louder + 15)
    return network


def save_network(path: Path, seed: int = 0) -> Path:
    """Save a file as the network's authors do."""
    options = {"readout_outputs": (N_NEURONS,), **asdict(SIZES)}
    network = make_network(seed).state_dict()
    layout = {
        "params": {"nn_module": ("dwiseneuro", options)},
        "nn_state_dict": network,
    }
    torch.save(layout, path)
    return path


def make_models(seeds: Sequence[int] = (0,)) -> list[MouseModel]:
    """Return an ensemble with the mean behaviour of its mouse."""
    mouse, indices = Mouse(0, N_NEURONS, "", MEAN_BEHAVIOR), torch.arange(N_NEURONS)
    return [
        MouseModel(
            SIZES, mouse, make_network(seed).state_dict(), indices, f"model {seed}", ""
        )
        for seed in seeds
    ]


def make_live_encoder(
    stride_frames: int = 16, seeds: Sequence[int] = (0,), gain: float = 1.0
) -> LiveDwiseNeuro:
    """Return the network as the live inversion uses it."""
    reach = torch.zeros(WINDOW_SPAN_FRAMES)
    reach[::2] = 1 / 16
    ones = torch.ones(N_NEURONS)
    fit = RecordingFit(MEAN, SD, gain * ones, 0.01 * ones, reach)
    return LiveDwiseNeuro(DwiseNeuroEncoder(make_models(seeds)), fit, stride_frames)


@functools.cache
def make_prior() -> Prior:
    """Return a prior of brightness and little else."""
    spread, rho = (
        4.0 / (0.1 + 60 * LOW.cycles_per_px),
        torch.full_like(LOW.cycles_per_px, 0.95),
    )
    q = spread * (1 - rho**2).sqrt()
    return Prior(torch.zeros_like(rho), rho, q, frame_error_sd=spread / 2)


@functools.cache
def make_movie(n_frames: int, seed: int = 1) -> Tensor:
    """Return frames (n_frames, C) drawn from the prior."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(1 + n_frames, LOW.n_coef, generator=generator)
    return make_prior().generate_frames(z, make_prior().mean)


@functools.cache
def make_behavior(n_frames: int, seed: int = 2) -> Tensor:
    """Return behaviour (n_frames, 4), z-scored."""
    generator = torch.Generator().manual_seed(seed)
    pairs = [torch.randn(n_frames, 2, generator=generator) for _ in range(2)]
    return torch.cat(pairs, 1)


def unstandardize_behavior(standardized: Tensor) -> Tensor:
    """Return behaviour in the units of the recording."""
    return MEAN + SD * standardized


@functools.cache
def make_activity(n_frames: int) -> Tensor:
    """Return Poisson activity (n_frames - PAST, n) from frame PAST of the movie on."""
    expected = make_live_encoder(1).predict(
        make_movie(n_frames), make_behavior(n_frames)
    )
    return torch.poisson(expected, torch.Generator().manual_seed(3))


def make_problem(encoder: LiveDwiseNeuro | None = None) -> InverseProblem:
    """Return the problem of inverting single-trial counts."""
    weight = torch.full((N_NEURONS,), DATA_WEIGHT)
    return InverseProblem(encoder or make_live_encoder(), make_prior(), weight)


def write_sensorium_folder(path: Path, n_train: int = 4, n_frames: int = 160) -> Path:
    """Write a Sensorium folder of the network; every second trial is for validation."""
    write_folder(
        path,
        NeuronTable(100 + np.arange(N_NEURONS), np.zeros((N_NEURONS, 3))),
        n_frames,
        (
            (("train", "oracle")[i % 2], make_trial(n_frames, i))
            for i in range(2 * n_train)
        ),
    )
    return path


def make_trial(n_frames: int, seed: int) -> SensoriumTrial:
    """Return a trial; the frames before its first one are cut off."""
    frames = make_movie(PAST + n_frames, 50 + seed)
    standardized = make_behavior(PAST + n_frames, 80 + seed)
    expected = make_live_encoder().predict(frames, standardized)
    counted = torch.poisson(expected, torch.Generator().manual_seed(seed))
    stimulus = LOW.to_pixels(frames[PAST:])
    return SensoriumTrial(
        stimulus, unstandardize_behavior(standardized[PAST:]).numpy(), counted.numpy()
    )
