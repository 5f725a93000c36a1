"""Trains the feature network that ships with rtrecon, on one CPU core.

python benchmarks/train_features.py --sensorium sensorium_sota_model.pth \
    --videos FOLDER --pictures FOLDER --out feature_network.safetensors

Neurons with an even number in the published file are taught, all others are left for
tests. The weights that ship were trained for 25 epochs on 2050 windows.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from feature_teachers import N_RANDOM, Lessons, make_lessons
from torch import Tensor, nn

from rtrecon.encoder.convolutional.feature_network import (
    GRID_SHAPE,
    KERNEL_FRAMES,
    N_DELAYS,
    FeatureNetwork,
    NetworkSize,
    to_grid,
)
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.tensor_files import write_tensors
from rtrecon.simulate.subjects.sensorium_network import read_sensorium_file
from rtrecon.simulate.subjects.temporal_kernels import KERNEL_CLASSES
from rtrecon.simulate.training_movie import MovieFolders

SIZE = NetworkSize(n_kernels=5, n_first=80, n_second=64, n_features=96)
N_COMPONENTS = 96  # of the weight basis
BATCH, LEARNING_RATE, POINTS_PER_STEP, CELLS_PER_STEP = 16, 4e-3, 40, 300
# Of the losses, and of the families' weights in the basis.
LOSS_WEIGHTS = {"published": 1.0, "random": 0.3, "simulated": 0.5}
BASIS_WEIGHTS = {"published": 0.6, "random": 0.2, "simulated": 0.2}
LICENCE = (
    "Trained on drives of the SENSORIUM 2022 baseline model (Willeke et al. 2022, MIT "
    "licence), neurons with even numbers"
)


class TrainableNetwork(nn.Module):
    """A `FeatureNetwork` with batch norms, and linear heads for all teachers."""

    def __init__(self, n_simulated: int) -> None:
        super().__init__()
        self.network = FeatureNetwork(SIZE).requires_grad_(True)
        sizes = SIZE.n_first, SIZE.n_second, SIZE.n_features
        norms = [nn.BatchNorm2d(n, momentum=0.05) for n in sizes]
        self.norms = nn.ModuleList(norms)
        self.kernels = nn.Parameter(_find_kernels(SIZE.n_kernels))
        for layer in (self.network.second_spatial, self.network.third_spatial):
            layer.weight.data.mul_(0.3)
            layer.weight.data[:, 0, 2, 2] += 1
        n_inputs = N_DELAYS * SIZE.n_features + 1  # a constant is the last one
        self.published = _make_head(len(KERNEL_CLASSES), n_inputs, 64)
        self.random = _make_head(N_RANDOM, n_inputs, 112)
        self.simulated = _make_head(n_simulated, n_inputs)

    def compute_maps(self, grids: Tensor) -> Tensor:
        """Return (B, N_DELAYS * F, rows, columns) of windows, newest frame first."""
        delayed = torch.cat(
            [grids[:, delay : delay + KERNEL_FRAMES] for delay in range(N_DELAYS)]
        )
        inputs = torch.einsum("bdyx,kd->bkyx", delayed, self.kernels)
        net, (norm1, norm2, norm3) = self.network, self.norms
        first = F.silu(norm1(net.first(inputs)))
        second = F.silu(norm2(net.second(net.second_spatial(first))))
        joined = torch.cat([first, net.third_spatial(second)], 1)
        return torch.cat(F.silu(norm3(net.third(joined))).chunk(N_DELAYS), 1)

    def export(self) -> FeatureNetwork:
        """Return the network with the batch norms folded into its layers."""
        network = copy.deepcopy(self.network).requires_grad_(False)
        network.temporal_kernels.copy_(self.kernels.data)
        layers = network.first, network.second, network.third
        for layer, norm in zip(layers, self.norms, strict=True):
            assert isinstance(norm, nn.BatchNorm2d)
            assert layer.bias is not None
            assert norm.running_var is not None
            assert norm.running_mean is not None
            gain = norm.weight.data / (norm.running_var + norm.eps).sqrt()
            layer.weight.mul_(gain[:, None, None, None])
            layer.bias.sub_(norm.running_mean).mul_(gain).add_(norm.bias.data)
        return network


@dataclass(frozen=True)
class Targets:
    """Lessons on the grid, and the scales of their losses.

    grids (N, frames, rows, columns). published_mean (64,): of the published maps.
    published_metric (64, 64): errors times it have as squares their share of the
    variance of the neurons with even numbers. neuron_covariance (64, 64): of the
    weights of these neurons.
    """

    lessons: Lessons
    grids: Tensor
    published_mean: Tensor
    published_metric: Tensor
    neuron_covariance: Tensor

    @classmethod
    def prepare(cls, lessons: Lessons, sensorium: Path) -> Targets:
        """Return the targets of lessons; sensorium: the file of the neurons."""
        movies = lessons.movies.flatten(0, 1)
        basis = make_dct_basis()
        grids = torch.cat(
            [to_grid(basis.from_pixels(part.numpy())) for part in movies.split(4096)]
        ).unflatten(0, lessons.movies.shape[:2])
        maps = lessons.published[:300].float().flatten(0, 2)
        covariance = torch.cov(maps.T)
        _, readout = read_sensorium_file(sensorium)
        weights = readout.features[:, ::2]
        sd = torch.einsum("fn,fg,gn->n", weights, covariance, weights).sqrt()
        neurons = (weights / sd) @ (weights / sd).T / weights.shape[1]
        regular = neurons + 1e-6 * neurons.diag().mean() * torch.eye(64)
        metric = torch.linalg.cholesky(regular) / (neurons * covariance).sum().sqrt()
        return cls(lessons, grids, maps.mean(0), metric, neurons)


def compute_losses(
    model: TrainableNetwork, targets: Targets, index: Tensor
) -> dict[str, Tensor]:
    """Return the unexplained share of the variance by family; random points."""
    lessons = targets.lessons
    maps = model.compute_maps(targets.grids[index])
    some = torch.randperm(lessons.points.shape[1])[:POINTS_PER_STEP]
    features = read_points(maps, (lessons.points[index][:, some] + 3.5) / 2)
    predicted = torch.einsum("bqc,kcf->bkqf", features, model.published)
    known = lessons.published[index][:, :, some].float() - targets.published_mean
    error = (predicted - known) @ targets.published_metric
    losses = {"published": error.square().sum(-1).mean()}
    read = lessons.points[index][:, ::4]
    features = read_points(maps, (read + 3.5) / 2)
    heads = model.random[lessons.random_index[index]]
    predicted = torch.einsum("bqc,bicf->biqf", features, heads)
    mean, sd = _measure(lessons.random.float().flatten(0, 2))
    known = (lessons.random[index].float() - mean) / sd
    losses["random"] = (predicted - known).square().mean()
    cells = torch.randperm(len(lessons.centers))[:CELLS_PER_STEP]
    at = ((lessons.centers[cells] - 0.5) / 2).expand(len(index), -1, -1)
    predicted = (read_points(maps, at) * model.simulated[cells]).sum(-1)
    mean, sd = _measure(lessons.simulated)
    known = ((lessons.simulated[index] - mean) / sd)[:, cells]
    losses["simulated"] = (predicted - known).square().mean()
    return losses


def read_points(maps: Tensor, nodes: Tensor) -> Tensor:
    """Return (B, points, F + 1) at x, y in nodes; the last feature is 1."""
    last = torch.tensor([GRID_SHAPE[1] - 1, GRID_SHAPE[0] - 1])
    grid = (nodes / last * 2 - 1)[:, :, None]
    read = F.grid_sample(maps, grid, align_corners=True, padding_mode="border")
    return F.pad(read[..., 0].transpose(1, 2), (0, 1), value=1.0)


def find_weight_basis(model: TrainableNetwork, targets: Targets) -> Tensor:
    """Return (N_DELAYS * F, N_COMPONENTS): principal components of all weights."""
    with torch.no_grad():
        heads = {
            "published": model.published[:, :-1]
            @ torch.linalg.cholesky(targets.neuron_covariance + 1e-8 * torch.eye(64)),
            "random": model.random[:, :-1] / 112**0.5,
            "simulated": model.simulated[:, :-1, None],
        }
        covariance = sum(
            BASIS_WEIGHTS[name] * (head @ head.transpose(1, 2)).mean(0)
            for name, head in heads.items()
        )
    variance, components = torch.linalg.eigh(covariance)
    largest = components.flip(1)[:, :N_COMPONENTS]
    return largest * variance.flip(0)[:N_COMPONENTS].clamp(min=0).sqrt()


def train(targets: Targets, n_epochs: int) -> TrainableNetwork:
    """Return the network after some passes over all windows."""
    model = TrainableNetwork(len(targets.lessons.centers))
    optimizer = torch.optim.AdamW(
        model.parameters(), LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4
    )
    n_steps = len(targets.grids) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, n_epochs * n_steps, pct_start=0.15
    )
    for epoch in range(n_epochs):
        order = torch.randperm(len(targets.grids))
        for index in order[: n_steps * BATCH].split(BATCH):
            losses = compute_losses(model, targets, index)
            weighted = [LOSS_WEIGHTS[name] * loss for name, loss in losses.items()]
            optimizer.zero_grad()
            torch.stack(weighted).sum().backward()
            optimizer.step()
            schedule.step()
        print(epoch + 1, {name: round(loss.item(), 3) for name, loss in losses.items()})
    return model.eval()


def _find_kernels(n_kernels: int) -> Tensor:
    """Return (n_kernels, KERNEL_FRAMES): principal components of the LGN's kernels."""
    kernels = [each.sample_kernel()[:KERNEL_FRAMES] for each in KERNEL_CLASSES]
    _, _, components = np.linalg.svd(np.stack(kernels), full_matrices=False)
    return torch.from_numpy(components[:n_kernels].copy()).float()


def _make_head(*shape: int) -> nn.Parameter:
    return nn.Parameter(0.05 * torch.randn(shape))


def _measure(values: Tensor) -> tuple[Tensor, Tensor]:
    return values.mean(0), values.std(0).clamp(min=1e-6)


def main() -> None:
    """Make the lessons, train, and write the network."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("sensorium", "videos", "pictures", "out"):
        parser.add_argument(
            f"--{name}", type=Path, required=name in ("sensorium", "out")
        )
    parser.add_argument("--windows", type=int, default=2050)
    parser.add_argument("--epochs", type=int, default=25)
    options = parser.parse_args()
    torch.manual_seed(0)
    folders = MovieFolders(options.videos, options.pictures)
    lessons = make_lessons(options.sensorium, folders, options.windows, seed=1)
    targets = Targets.prepare(lessons, options.sensorium)
    model = train(targets, options.epochs)
    tensors = model.export().state_dict()
    tensors["weight_basis"] = find_weight_basis(model, targets)
    write_tensors(options.out, tensors, {"source": LICENCE})


if __name__ == "__main__":
    main()
