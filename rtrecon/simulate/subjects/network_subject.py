"""Neurons of an image network that see the movie through temporal kernels of the LGN.

An image network has no time. Each neuron sees the movie through the kernel of one class
of LGN cells. Direction-selective neurons have a second input, through another kernel
and from a point 2 to 4 px away (Lien & Scanziani 2018, Nature 558: 80).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.simulate.behavior import BehaviorTraces, simulate_behavior
from rtrecon.simulate.movie import RATE_HZ, SHAPE, make_natural_movie
from rtrecon.simulate.subjects.image_network import (
    ImageNetwork,
    MapCrop,
    PointReadout,
)
from rtrecon.simulate.subjects.receptive_fields import require_screen_size
from rtrecon.simulate.subjects.subject import SubjectRequest, draw_mean_rates_hz
from rtrecon.simulate.subjects.temporal_kernels import KERNEL_CLASSES, N_TAPS

DIRECTION_SELECTIVE = 0.3  # share of the neurons, by default
_SECOND_INPUT_PX = (2.0, 4.0)  # distance of the second input
_HALF = float(np.sqrt(0.5))  # weight of each of two inputs, which keeps the variance
_CHUNK_FRAMES = 64
_CALIBRATION_STEP = 6  # frames; neighbours are much alike
_N_GRADIENT_FRAMES, _N_SIGNS = 16, 8
_SEED_STREAM = 2022  # of this module's random numbers
_BEHAVIOR_SD = (10.6, 1.56, 2.46)  # of `scale_behavior`, measured over three hours


@dataclass(frozen=True)
class KernelInput:
    """Neurons that see the movie through one kernel, and from where.

    kernel (N_TAPS,): newest frame first, scaled so that calibration movies have a s.d.
    of 1. neurons: their indices. readout: of these neurons. crop: the part of the maps
    that they need. weight (m,): of the input.
    """

    kernel: Array
    neurons: Array
    readout: PointReadout
    crop: MapCrop
    weight: Tensor


@dataclass(frozen=True)
class NetworkSubject:
    """A `Subject`: an image network, seen through kernels, scaled to recorded rates.

    readout: where each neuron looks with its first input. inputs: first and second
    ones, by kernel. activate: from drive (T, n) to a rate of 0 or more. rate_scale
    (n,): from that rate to spikes per frame. mean_gray: of the calibration movie.
    precision: of the network's layers.
    """

    seed: int
    network: ImageNetwork
    readout: PointReadout
    inputs: tuple[KernelInput, ...]
    activate: Callable[[Tensor], Tensor]
    rate_scale: Array
    mean_gray: float
    precision: torch.dtype

    def __len__(self) -> int:
        return len(self.readout)

    def respond(self, movie: Array, behavior: BehaviorTraces) -> Array:
        """Return expected spikes per encoder frame, float32 (T, n); see `Subject`."""
        require_screen_size(movie)
        rate = np.empty((len(movie), len(self)), np.float32)
        state = scale_behavior(behavior)
        for start in range(0, len(movie), _CHUNK_FRAMES):
            frames = np.arange(start, min(start + _CHUNK_FRAMES, len(movie)))
            rate[frames] = self._compute_rates(movie, state, frames)
        return rate * self.rate_scale

    def draw_shared_gain(self, n_frames: int, rng: np.random.Generator) -> Array:
        """Return ones: these neurons share no noise."""
        return np.ones((n_frames, 1), np.float32)

    def map_seen_field(self) -> Array:
        """Return (36, 64): mean squared gradient of the drives by pixel, largest = 1.

        The neurons' gradients are added with random signs, whose square has the same
        mean as the sum of squares.
        """
        rng = np.random.default_rng([self.seed, _SEED_STREAM, 2])
        movie = make_natural_movie(_N_GRADIENT_FRAMES, _SEED_STREAM, clip_frames=1)
        images = torch.from_numpy((movie - movie.mean()) / movie.std()).float()
        field = torch.zeros(SHAPE)
        for _ in range(_N_SIGNS):
            signs = torch.from_numpy(rng.choice([-1.0, 1.0], len(self))).float()
            images.requires_grad_(True)
            drive = self._compute_drive(images, None)
            (gradient,) = torch.autograd.grad((drive * signs).sum(), images)
            field += gradient.square().sum(0)
        return np.asarray(field / field.max())

    def _compute_drive(self, images: Tensor, state: Tensor | None) -> Tensor:
        """Return drives (B, n) of still images (B, 36, 64) of s.d. 1, float32."""
        crop = MapCrop.around(self.readout, self.network.reach_px)
        maps = self._compute_maps(images, state, crop, torch.float32)
        return self.readout.read_maps(maps, crop) + self.readout.bias

    @torch.no_grad()
    def _compute_rates(self, movie: Array, state: Array, frames: Array) -> Array:
        """Return rates before scaling (len(frames), n)."""
        drive = self.readout.bias.repeat(len(frames), 1)
        movement = torch.from_numpy(state[frames])
        for one in self.inputs:
            images = torch.from_numpy(self._filter_movie(movie, one.kernel, frames))
            maps = self._compute_maps(images, movement, one.crop, self.precision)
            drive[:, one.neurons] += one.readout.read_maps(maps, one.crop) * one.weight
        return np.asarray(self.activate(drive))

    def _compute_maps(
        self, images: Tensor, state: Tensor | None, crop: MapCrop, dtype: torch.dtype
    ) -> Tensor:
        cut = crop.cut_images(images)[:, None]
        n_state = self.network.n_channels - 1
        if n_state:
            values = torch.zeros(len(cut), n_state) if state is None else state
            planes = values[:, :n_state, None, None]
            cut = torch.cat([cut, planes.expand(-1, -1, *cut.shape[-2:])], 1)
        return self.network.compute_maps(cut.to(dtype))

    def _filter_movie(self, movie: Array, kernel: Array, frames: Array) -> Array:
        """Return the movie seen through a kernel at some frames, float32."""
        delays = frames[:, None] - np.arange(N_TAPS)
        used = np.flatnonzero(kernel)
        filtered = np.zeros((len(frames), *SHAPE), np.float32)
        for tap in used.tolist():
            index = delays[:, tap]
            contrast = movie[np.maximum(index, 0)] - np.float32(self.mean_gray)
            contrast[index < 0] = 0  # the screen was gray before the movie
            filtered += kernel[tap] * contrast
        return filtered


def scale_behavior(behavior: BehaviorTraces) -> Array:
    """Return (T, 3): pupil dilation, its change, running speed, each with s.d. 1.

    The means stay: the encoders of SENSORIUM 2022 were fitted to such values.
    """
    pupil = behavior.pupil_dilation
    change = np.diff(pupil, prepend=pupil[:1])
    raw = np.stack([pupil, change, behavior.running_speed], 1)
    return np.asarray(raw / np.array(_BEHAVIOR_SD), np.float32)


def make_network_subject(
    request: SubjectRequest,
    network: ImageNetwork,
    readout: PointReadout,
    activate: Callable[[Tensor], Tensor],
) -> NetworkSubject:
    """Assign kernels to the neurons of `readout` and scale their rates."""
    options, movie = request.options, request.calibration
    rng = np.random.default_rng([options.mouse_seed, _SEED_STREAM])
    share = options.direction_selective
    share = DIRECTION_SELECTIVE if share is None else share
    subject = NetworkSubject(
        seed=options.mouse_seed,
        network=network,
        readout=readout,
        inputs=tuple(_draw_inputs(readout, network.reach_px, share, rng)),
        activate=activate,
        rate_scale=np.ones(len(readout), np.float32),
        mean_gray=float(movie.mean()),
        precision=choose_precision(),
    )
    scaled = tuple(_scale_kernel(subject, one, movie) for one in subject.inputs)
    return _scale_rates(replace(subject, inputs=scaled), movie, rng)


def choose_precision() -> torch.dtype:
    """Return bfloat16 if this processor computes with it, else float32.

    It is faster by half, and the rates correlate above 0.999 with those in float32.
    """
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch
        return torch.float32
    has_bfloat16 = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if has_bfloat16 else torch.float32


def _draw_inputs(
    readout: PointReadout, reach_px: int, share: float, rng: np.random.Generator
) -> Iterator[KernelInput]:
    """Yield the neurons that see the movie through each kernel."""
    n, n_kernels = len(readout), len(KERNEL_CLASSES)
    n_cells = np.array([one.n_cells for one in KERNEL_CLASSES])
    first = rng.choice(n_kernels, n, p=n_cells / n_cells.sum())
    second = (first + rng.integers(1, n_kernels, n)) % n_kernels
    has_second = rng.random(n) < share
    angle, away = rng.uniform(0, 2 * np.pi, n), rng.uniform(*_SECOND_INPUT_PX, n)
    offset = away[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    weight = torch.from_numpy(np.where(has_second, _HALF, 1.0)).float()
    displaced = readout.move(offset)
    for number, kernel_class in enumerate(KERNEL_CLASSES):
        at_first = np.flatnonzero(first == number)
        at_second = np.flatnonzero((second == number) & has_second)
        neurons = np.concatenate([at_first, at_second])  # none is in both
        if len(neurons):
            source = readout.select(at_first).join(displaced.select(at_second))
            yield KernelInput(
                kernel=kernel_class.sample_kernel(),
                neurons=neurons,
                readout=source,
                crop=MapCrop.around(source, reach_px),
                weight=weight[torch.from_numpy(neurons)],
            )


def _scale_kernel(
    subject: NetworkSubject, one: KernelInput, movie: Array
) -> KernelInput:
    """Return the input with a kernel through which the movie has a s.d. of 1."""
    frames = np.arange(N_TAPS, len(movie), _CALIBRATION_STEP)
    sd = float(subject._filter_movie(movie, one.kernel, frames).std())
    return replace(one, kernel=one.kernel / np.float32(max(sd, 1e-6)))


def _scale_rates(
    subject: NetworkSubject, movie: Array, rng: np.random.Generator
) -> NetworkSubject:
    """Return the subject with mean rates as in recordings."""
    frames = np.arange(N_TAPS, len(movie), _CALIBRATION_STEP)
    state = scale_behavior(simulate_behavior(len(movie), RATE_HZ, rng))
    total = np.zeros(len(subject))
    for start in range(0, len(frames), _CHUNK_FRAMES):
        part = frames[start : start + _CHUNK_FRAMES]
        total += subject._compute_rates(movie, state, part).sum(0)
    mean = np.maximum(total / len(frames), 1e-6)
    scale = draw_mean_rates_hz(len(subject), rng) / RATE_HZ / mean
    return replace(subject, rate_scale=scale.astype(np.float32))
