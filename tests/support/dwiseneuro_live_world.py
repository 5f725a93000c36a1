"""A small published network with neurons enough to see by, and what they answered.

Its weights are random, its readout set so that neurons differ and movies matter. Such a
network hardly knows where on the screen something is, so its movies are of brightness
and of slow gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rtrecon.datasets.sensorium.trial import Trial
from rtrecon.datasets.sensorium.write import Neurons, write_folder
from rtrecon.encoder.dwiseneuro.author_files import Model
from rtrecon.encoder.dwiseneuro.inference import SPAN, Published, padded
from rtrecon.encoder.dwiseneuro.live import Fit, LivePublished, pixels
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.encoder.dwiseneuro.network import Architecture, DwiseNeuro
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.spectrum import spectrum
from rtrecon.inversion.live.inverter import Problem

SIZES = Architecture(
    core_features=(4, 8),
    spatial_strides=(4, 4),
    expansion_ratio=1,
    se_reduce_ratio=2,
    cortex_features=(16, 24),
)
N_NEURONS, PAST = 40, SPAN - 1
USUAL = (40.0, 2.0, 150.0, 145.0)  # behaviour, in the order of `BEHAVIOR`
MEAN, SD = torch.tensor(USUAL), torch.tensor([8.0, 1.5, 1.0, 1.5])
TEMPERATURE = 0.5
LOW = spectrum()


@functools.cache
def network(seed: int = 0) -> DwiseNeuro:
    """Neurons whose drive has the same mean and spread."""
    torch.manual_seed(seed)
    made = DwiseNeuro(SIZES, {0: N_NEURONS}).requires_grad_(False)
    video = padded(pixels(movie(128, seed=9), LOW.basis)).view(8, 1, 16, 64, 64)
    told = torch.tensor(USUAL).view(1, 4, 1, 1, 1).expand(8, 4, 16, 1, 1)
    readout = made.readouts["0"].layer
    drive = readout(made.cortex(made.core(video, told))).transpose(0, 1).flatten(1)
    louder = 30 / drive.std(1)
    readout[1].weight *= louder[:, None, None]
    readout[1].bias.copy_((readout[1].bias - drive.mean(1)) * louder + 15)
    return made


def saved(path: Path, seed: int = 0) -> Path:
    """A file as its authors save it."""
    options = {"readout_outputs": (N_NEURONS,), **asdict(SIZES)}
    made = network(seed).state_dict()
    layout = {"params": {"nn_module": ("dwiseneuro", options)}, "nn_state_dict": made}
    torch.save(layout, path)
    return path


def models(seeds: Sequence[int] = (0,)) -> list[Model]:
    """An ensemble that knows what its mouse did on average."""
    mouse, places = Mouse(0, N_NEURONS, "", USUAL), torch.arange(N_NEURONS)
    return [
        Model(SIZES, mouse, network(seed).state_dict(), places, f"model {seed}", "")
        for seed in seeds
    ]


def live(
    stride_frames: int = 16, seeds: Sequence[int] = (0,), gain: float = 1.0
) -> LivePublished:
    """The network as the inversion asks it."""
    reach = torch.zeros(SPAN)
    reach[::2] = 1 / 16
    ones = torch.ones(N_NEURONS)
    fit = Fit(MEAN, SD, gain * ones, 0.01 * ones, reach)
    return LivePublished(Published(models(seeds)), fit, stride_frames)


@functools.cache
def prior() -> Prior:
    """Brightness, and little else."""
    spread, rho = 4.0 / (0.1 + 60 * LOW.cycles), torch.full_like(LOW.cycles, 0.95)
    q = spread * (1 - rho**2).sqrt()
    return Prior(torch.zeros_like(rho), rho, q, doubt=spread / 2)


@functools.cache
def movie(n_frames: int, seed: int = 1) -> Tensor:
    """Frames (n_frames, C) as the prior makes them."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(1 + n_frames, LOW.n_coef, generator=generator)
    return prior().unroll(z, prior().mean)


@functools.cache
def behavior(n_frames: int, seed: int = 2) -> Tensor:
    """What the mouse did (n_frames, 4), z-scored."""
    generator = torch.Generator().manual_seed(seed)
    pairs = [torch.randn(n_frames, 2, generator=generator) for _ in range(2)]
    return torch.cat(pairs, 1)


def raw(told: Tensor) -> Tensor:
    """The same as it was recorded."""
    return MEAN + SD * told


@functools.cache
def activity(n_frames: int) -> Tensor:
    """What neurons counted (n_frames - PAST, n) from frame PAST of the movie on."""
    expected = live(1).expect(movie(n_frames), behavior(n_frames))
    return torch.poisson(expected, torch.Generator().manual_seed(3))


def problem(encoder: LivePublished | None = None) -> Problem:
    """Inverting single trials of counts."""
    weight = torch.full((N_NEURONS,), TEMPERATURE)
    return Problem(encoder or live(), prior(), weight)


def folder(path: Path, n_train: int = 4, n_frames: int = 160) -> Path:
    """A Sensorium folder of the network's neurons; every other trial is to validate."""
    write_folder(
        path,
        Neurons(100 + np.arange(N_NEURONS), np.zeros((N_NEURONS, 3))),
        n_frames,
        ((("train", "oracle")[i % 2], trial(n_frames, i)) for i in range(2 * n_train)),
    )
    return path


def trial(n_frames: int, seed: int) -> Trial:
    """Its first frames are answered to what came before, which is cut off."""
    frames = movie(PAST + n_frames, 50 + seed)
    told = behavior(PAST + n_frames, 80 + seed)
    expected = live().expect(frames, told)
    counted = torch.poisson(expected, torch.Generator().manual_seed(seed))
    shown = LOW.to_pixels(frames[PAST:])
    return Trial(shown, raw(told[PAST:]).numpy(), counted.numpy())
