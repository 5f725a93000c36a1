"""The neurons themselves as encoders: an inversion that no training limits.

They are the models of `rtrecon.simulate.subjects`, written in torch, so that the movie
has a gradient. What such an inversion lacks, noise, prior and optimiser lack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from cpu_encoder import CpuEncoder
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.simulate.movie import MEAN_GRAY, SHAPE
from rtrecon.simulate.subjects.network_subject import NetworkSubject
from rtrecon.simulate.subjects.simulated import (
    NEURON_KINDS,
    SimulatedMouse,
    compute_temporal_kernels,
)
from rtrecon.simulate.subjects.subject import Subject
from rtrecon.stimulus_space.space import CONTRAST_LEVELS, MIDDLE_LEVEL

_MIN_RATE, _EPSILON = 1e-5, 1e-6


@dataclass(frozen=True)
class TrueEncoder(CpuEncoder):
    """A `LiveEncoder`: the true rates of a subject, in spikes per frame.

    gain (T, n): of behavior, for the window's frames, known as the subject knows it.
    past_frames: before these frames, no movie has an influence.
    """

    subject: NetworkSubject | SimulatedMouse
    gain: Tensor
    past_frames: int

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.subject)

    def predict(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) rates of frames (past_frames + T, C); see `LiveEncoder`."""
        pixels = frames @ make_dct_basis().vectors * CONTRAST_LEVELS + MIDDLE_LEVEL
        movie = pixels.unflatten(1, SHAPE)
        if isinstance(self.subject, NetworkSubject):
            rate = _compute_network_rates(self.subject, movie)
        else:
            rate = _compute_simulated_rates(self.subject, movie)[self.past_frames :]
        return rate * self.gain + _MIN_RATE


def make_true_encoder(subject: Subject, arousal: Array) -> TrueEncoder:
    """Return the encoder for a clip whose arousal (T,) is known."""
    if isinstance(subject, NetworkSubject):
        n_taps = max(len(each.kernel) for each in subject.inputs)
        gain = torch.ones(len(arousal), len(subject))
        return TrueEncoder(subject, gain, n_taps - 1)
    assert isinstance(subject, SimulatedMouse)
    log_gain = np.outer(arousal, subject.arousal_gain).astype(np.float32)
    n_taps = len(compute_temporal_kernels(1.3)[0])
    return TrueEncoder(subject, torch.from_numpy(log_gain).exp(), n_taps - 1)


def _compute_network_rates(subject: NetworkSubject, movie: Tensor) -> Tensor:
    """Return rates (T, n) of a movie that begins with the frames of the past."""
    contrast = movie - subject.mean_gray
    n_frames = len(movie) - len(subject.inputs[0].kernel) + 1
    drive = subject.readout.bias.repeat(n_frames, 1)
    for each in subject.inputs:
        cut = each.crop.cut_images(contrast)
        newest_last = torch.from_numpy(each.kernel.copy()).float().flip(0)
        seen = cut.unfold(0, len(newest_last), 1) @ newest_last
        maps = subject.network.compute_maps(seen[:, None].to(subject.precision))
        read = each.readout.read_maps(maps, each.crop) * each.weight
        drive = drive.index_add(1, torch.from_numpy(each.neurons), read)
    return subject.activate(drive) * torch.from_numpy(subject.rate_scale)


def _compute_simulated_rates(mouse: SimulatedMouse, movie: Tensor) -> Tensor:
    """Return rates (T, n); those of the first frames lack their past."""
    contrast = (movie.flatten(1) - MEAN_GRAY) / 50.0
    pair = (contrast @ torch.from_numpy(mouse.filters).float().T).unflatten(1, (-1, 2))
    drive = torch.zeros(len(movie), len(mouse))
    for rise in np.unique(mouse.rise_frames):
        early_kernel, late_kernel = compute_temporal_kernels(rise)
        for kind, name in enumerate(NEURON_KINDS):
            chosen = np.flatnonzero((mouse.rise_frames == rise) & (mouse.kind == kind))
            index = torch.from_numpy(chosen)
            early = _convolve_causally(early_kernel, pair[:, index])
            late = _convolve_causally(late_kernel, pair[:, index])
            drive = drive.index_add(1, index, _combine_filters(name, early, late))
    pool = drive @ torch.from_numpy(mouse.neighbor_weights).float()
    normalized = drive / (torch.from_numpy(mouse.half_saturation).float() + pool)
    exponent = torch.from_numpy(mouse.exponent)
    rate: Tensor = (normalized + _EPSILON) ** exponent
    return rate * torch.from_numpy(mouse.rate_scale)


def _combine_filters(name: str, early: Tensor, late: Tensor) -> Tensor:
    """Return drives (T, m) of early and late responses (T, m, 2) of filter pairs."""
    (a, b), (c, d) = early.unbind(2), late.unbind(2)
    match name:
        case "simple" | "surround":
            return F.relu(a)
        case "complex":
            return (a**2 + b**2 + _EPSILON).sqrt()
        case "direction":
            return F.relu(a + d)
        case "direction-energy":
            return ((a + d) ** 2 + (b - c) ** 2 + _EPSILON).sqrt()
        case _:  # both blobs at once
            return (F.relu(a) * F.relu(b) + _EPSILON).sqrt()


def _convolve_causally(kernel: Array, signal: Tensor) -> Tensor:
    """Return the causal convolution of each column of (T, m, 2) with the kernel."""
    taps = torch.from_numpy(kernel.copy()).float().flip(0)
    padded = F.pad(signal.permute(1, 2, 0), (len(taps) - 1, 0))
    return (padded.unfold(2, len(taps), 1) @ taps).permute(2, 0, 1)
