"""What neurons of three families answer to windows of movies: lessons for features.

A window is a few frames; its answer is that of the last one. All teachers are free of
noise, so that a few thousand windows are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.simulate.movie import make_natural_movie
from rtrecon.simulate.subjects.random_cnn import make_random_network
from rtrecon.simulate.subjects.sensorium_network import read_sensorium_file
from rtrecon.simulate.subjects.simulated import (
    SimulatedMouse,
    make_simulated_mouse,
)
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.simulate.subjects.temporal_kernels import KERNEL_CLASSES, N_TAPS
from rtrecon.simulate.training_movie import MovieFolders, make_training_movie

N_POINTS = 128  # of each window, at which networks are read
N_RANDOM, N_MICE, NEURONS_PER_MOUSE = 6, 2, 1000
_RANDOM_PER_WINDOW = 2
_CLIP_FRAMES, _WINDOWS_PER_CLIP, _BATCH = 150, 5, 32
_SIMULATED_FRAMES = 13


@dataclass(frozen=True)
class Lessons:
    """movies (N, MEMORY_FRAMES, 36, 64): uint8 windows, newest frame first.

    points (N, N_POINTS, 2): x and y on the networks' maps. published (N, kernels,
    N_POINTS, 64): maps of the published encoder through each kernel. random (N, 2,
    N_POINTS / 4, 112): of two random networks, which `random_index` (N, 2) names.
    simulated (N, n): drives of neurons at `centers` (n, 2), x and y in px.
    """

    movies: Tensor
    points: Tensor
    published: Tensor
    random: Tensor
    random_index: Tensor
    simulated: Tensor
    centers: Tensor


def make_lessons(
    sensorium: Path, folders: MovieFolders, n_windows: int, seed: int
) -> Lessons:
    """Show windows of generated scenes, videos and photographs to all teachers."""
    rng = np.random.default_rng([seed, 13])
    windows = _cut_windows(folders, n_windows, seed, rng)
    calibration = make_natural_movie(3000, seed=4242)
    kernels = _scale_kernels(calibration)
    published, _ = read_sensorium_file(sensorium)
    scaled = (calibration[::15] - calibration.mean()) / calibration.std()
    images = torch.from_numpy(scaled).float()[:, None]
    networks = [
        make_random_network(np.random.default_rng([500 + i, 31])).measure_statistics(
            images
        )
        for i in range(N_RANDOM)
    ]
    random_kernel = np.random.default_rng(3).integers(0, len(kernels), N_RANDOM)
    points = torch.from_numpy(rng.uniform(0, (55, 27), (n_windows, N_POINTS, 2)))
    points = points.float()
    parts, random_parts, indices = [], [], []
    for start in range(0, n_windows, _BATCH):
        shown = windows[start : start + _BATCH] - np.float32(calibration.mean())
        filtered = torch.einsum("kd,bdyx->kbyx", kernels, torch.from_numpy(shown))
        at = points[start : start + _BATCH]
        chosen = [(start // _BATCH + 3 * i) % N_RANDOM for i in range(2)]
        with torch.no_grad():
            parts.append(
                torch.stack(
                    [
                        _read_maps(published.compute_maps(each[:, None]), at)
                        for each in filtered
                    ],
                    1,
                ).bfloat16()
            )
            seen = [filtered[random_kernel[i]][:, None] for i in chosen]
            random_parts.append(
                torch.stack(
                    [
                        _read_maps(networks[i].compute_maps(each), at[:, ::4])
                        for i, each in zip(chosen, seen, strict=True)
                    ],
                    1,
                ).bfloat16()
            )
        indices.append(torch.tensor(chosen).expand(len(shown), -1))
    mice = [
        make_simulated_mouse(
            SubjectOptions(n_neurons=NEURONS_PER_MOUSE, mouse_seed=700 + i), calibration
        )
        for i in range(N_MICE)
    ]
    simulated = [_drive_mice(mice, window) for window in windows]
    centers = np.concatenate([mouse.center_px[:, ::-1] for mouse in mice])
    return Lessons(
        movies=torch.from_numpy(windows[:, :MEMORY_FRAMES].copy()),
        points=points,
        published=torch.cat(parts),
        random=torch.cat(random_parts),
        random_index=torch.cat(indices),
        simulated=torch.from_numpy(np.stack(simulated)),
        centers=torch.from_numpy(centers.copy()).float(),
    )


def _cut_windows(
    folders: MovieFolders, n_windows: int, seed: int, rng: np.random.Generator
) -> np.ndarray:
    """Return uint8 (n_windows, N_TAPS, 36, 64), newest frame first, in random order."""
    n_clips = -(-n_windows // _WINDOWS_PER_CLIP)
    made = make_training_movie(folders, n_clips * _CLIP_FRAMES, seed, _CLIP_FRAMES)
    clips = made.movie.reshape(n_clips, _CLIP_FRAMES, 36, 64)
    windows = []
    for clip in clips:
        for last in rng.choice(_CLIP_FRAMES - N_TAPS, _WINDOWS_PER_CLIP, replace=False):
            windows.append(clip[last : last + N_TAPS][::-1])
    return np.stack(windows)[rng.permutation(len(windows))[:n_windows]]


def _scale_kernels(calibration: np.ndarray) -> Tensor:
    """Return (kernels, N_TAPS), through which the movie has a s.d. of 1."""
    contrast = calibration.astype(np.float32) - calibration.mean()
    frames = np.arange(N_TAPS, len(contrast), 6)
    scaled = []
    for each in KERNEL_CLASSES:
        kernel = each.sample_kernel()
        filtered = sum(kernel[tap] * contrast[frames - tap] for tap in range(N_TAPS))
        scaled.append(kernel / np.std(filtered))
    return torch.from_numpy(np.stack(scaled)).float()


def _read_maps(maps: Tensor, points: Tensor) -> Tensor:
    """Return (B, points, features) of maps (B, features, h, w) at x, y in their px."""
    last = torch.tensor([maps.shape[3] - 1, maps.shape[2] - 1])
    grid = (points / last * 2 - 1)[:, :, None]
    return F.grid_sample(maps, grid, align_corners=True)[..., 0].transpose(1, 2)


def _drive_mice(mice: list[SimulatedMouse], window: np.ndarray) -> np.ndarray:
    frames = np.ascontiguousarray(window[::-1][-_SIMULATED_FRAMES:])
    tuned = [mouse._tuned_rate(frames)[-1] / mouse.rate_scale for mouse in mice]
    return np.concatenate(tuned).astype(np.float32)
