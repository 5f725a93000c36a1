"""Training of the compact encoder: screen, then gradient descent end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.screen import Guess, screen
from rtrecon.encoder.spectrum import Spectrum

_WINDOW_PX = 5.0  # s.d. of the window that keeps a neuron's filters local
_EDGE = 0.02  # where the window is taken to end
_FAST, _SLOW = (0.3, 1.0, -0.5, -0.2), (0.0, 0.3, 1.0, -0.6)  # first temporal mixes


@dataclass(frozen=True)
class Recipe:
    """How to train. decay: penalty on filter energy, per batch."""

    epochs: int = 20
    batch_frames: int = 1000
    rate: float = 0.012
    decay: float = 1e-4
    seed: int = 0


@dataclass(frozen=True)
class Data:
    """coef (T, C), behavior (T, 2) z-scored, activity (T, n) of the same frames."""

    coef: Tensor
    behavior: Tensor
    activity: Tensor

    def part(self, start: int, stop: int) -> Data:
        """Return frames start to stop."""
        own = slice(start, stop)
        return Data(self.coef[own], self.behavior[own], self.activity[own])

    def __len__(self) -> int:
        return len(self.coef)


@dataclass(frozen=True)
class Progress:
    """After an epoch: mean misfit in training, mean Pearson r in validation."""

    epoch: int
    misfit: float
    validation_r: float


def train(
    spectrum: Spectrum,
    training: Data,
    validation: Data,
    recipe: Recipe,
    report: Callable[[Progress], None],
) -> Compact:
    """Return the encoder of the epoch that predicts the validation clips best."""
    torch.manual_seed(recipe.seed)
    guess = screen(spectrum, training.coef, training.activity)
    model = _from_guess(spectrum, guess, training)
    patches = _Patches(spectrum, guess, training.coef)
    best, best_r = _snapshot(model, patches), -1.0
    for epoch, misfit in enumerate(_descend(model, patches, training, recipe)):
        snapshot = _snapshot(model, patches)
        r = float(np.nanmean(correlation(snapshot, validation)))
        report(Progress(epoch + 1, misfit, r))
        if r > best_r:
            best, best_r = snapshot, r
    return best


def correlation(model: Compact, data: Data) -> np.ndarray:
    """Return (n,) Pearson r of predicted and recorded activity; NaN if constant."""
    return pearson(predict(model, data), data.activity[MEMORY - 1 :].numpy())


def predict(model: Compact, data: Data) -> np.ndarray:
    """Return (T - MEMORY + 1, n) predicted activity."""
    with torch.no_grad():
        seen = model.look(data.coef)
        return np.asarray(model.answer(seen, data.behavior[MEMORY - 1 :]).numpy())


def dispersion(model: Compact, data: Data) -> Tensor:
    """Return (n,) variance of activity in units of its mean, around the prediction."""
    expected = predict(model, data)
    recorded = data.activity[MEMORY - 1 :].numpy()
    pearson_chi2 = (recorded - expected) ** 2 / expected
    return torch.from_numpy(pearson_chi2.mean(0).astype(np.float32))


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Pearson r of each column of a with the same column of b."""
    a, b = a - a.mean(0), b - b.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0)))


class _Patches:
    """Filters as pixels inside each neuron's window: what training changes."""

    def __init__(self, spectrum: Spectrum, guess: Guess, coef: Tensor) -> None:
        self._basis = spectrum.basis
        window = _windows(guess.center)
        self._window = torch.cat([window, window])
        inside = self._window > _EDGE
        pixels = torch.cat([guess.even, guess.odd]) / self._window.clamp(min=_EDGE)
        pixels = pixels * inside
        spread = (coef[:3000] @ self._project(pixels).T).std(0)
        self.pixels = torch.nn.Parameter(pixels / (spread[:, None] + 1e-6))

    def filters(self) -> Tensor:
        """Return (2 n, C)."""
        return self._project(self.pixels)

    def energy(self) -> Tensor:
        """Return the penalty: energy, dearer where the window is low."""
        return (self.pixels.square() * self._window).sum()

    def _project(self, pixels: Tensor) -> Tensor:
        return (pixels * self._window) @ self._basis.T


def _windows(centers: np.ndarray) -> Tensor:
    y, x = np.mgrid[:36, :64]
    apart = (y.ravel() - centers[:, :1]) ** 2 + (x.ravel() - centers[:, 1:]) ** 2
    window = np.exp(-apart / (2 * _WINDOW_PX**2)).astype(np.float32)
    window[window < 1e-6] = 0  # denormal numbers are slow to multiply
    return torch.from_numpy(window)


def _from_guess(spectrum: Spectrum, guess: Guess, data: Data) -> Compact:
    model = Compact(spectrum.n_coef, data.activity.shape[1])
    model.set_pool(guess.center)
    fast, slow = torch.tensor(_FAST)[:, None], torch.tensor(_SLOW)[:, None]
    even, odd = guess.phase[0], guess.phase[1]
    mean = data.activity.mean(0)
    with torch.no_grad():
        model.mix[0, 0] = model.mix[1, 1] = fast
        # Opponent motion: the other filter, later, added to one and taken from two.
        model.mix[0, 1] = slow * guess.direction
        model.mix[1, 0] = -slow * guess.direction
        for row, sign in enumerate((even, -even, odd, -odd)):
            model.halves[row] += 0.5 * (sign > 0.03)
        model.log_scale.copy_(torch.log(mean + 1e-3) + 1.0)
        model.offset.copy_(0.3 * mean)
    return model


def _descend(
    model: Compact, patches: _Patches, data: Data, recipe: Recipe
) -> Iterator[float]:
    parameters = [patches.pixels, *model.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=recipe.rate, betas=(0.9, 0.99))
    n_batches = len(data) // recipe.batch_frames
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, recipe.epochs * n_batches, pct_start=0.1
    )
    rng = np.random.default_rng(recipe.seed)
    weight = 1 / (data.activity.mean(0) + 1e-3)
    for _ in range(recipe.epochs):
        misfits = []
        for start in rng.permutation(n_batches) * recipe.batch_frames:
            part = data.part(start, start + recipe.batch_frames)
            model.filters = patches.filters()
            misfit = _misfit(model, part, weight)
            optimiser.zero_grad()
            (misfit + recipe.decay * patches.energy()).backward()
            optimiser.step()
            schedule.step()
            misfits.append(float(misfit.detach()))
        yield float(np.mean(misfits))


def _misfit(model: Compact, data: Data, weight: Tensor) -> Tensor:
    """Poisson misfit summed over neurons, each weighted to count alike."""
    expected = model.answer(model.look(data.coef), data.behavior[MEMORY - 1 :])
    recorded = data.activity[MEMORY - 1 :]
    return ((expected - recorded * expected.log()).mean(0) * weight).sum()


def _snapshot(model: Compact, patches: _Patches) -> Compact:
    with torch.no_grad():
        model.filters = patches.filters().detach().clone()
        copy = Compact(model.filters.shape[1], model.n_neurons)
        copy.load_state_dict(model.state_dict())
    return copy.requires_grad_(False)
