"""A small convolutional decoder: activity over time to pixels, learnt end to end.

The other thing that one would try without an encoder. Temporal filters over all neurons
give a coarse picture of several channels, which two convolutions make fine. It is
trained on some of the training clips for as long as it gets better on the others, once
for each dropout, and the best of all is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.core.types import Array
from rtrecon.encoder.spectrum import CONTRAST, GRAY
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.ridge_decoder import (
    BINS,
    Scale,
    divided,
    scale_of,
    score_of,
    shown_in,
)
from rtrecon.inversion.offline.target import Report, Target, silent

_BEFORE, _AFTER = -BINS[0][0], BINS[-1][1] - 1  # frames around the one that is told
_COARSE = (9, 16)  # a quarter of the screen's sides


@dataclass(frozen=True)
class ConvolutionalSettings:
    """How the convolutional decoder is built and trained.

    width: temporal filters. channels: of the coarse picture. dropouts: shares of the
    neurons left out in training, each tried. epochs: at most; patience: how many
    without a better one. batch_frames: of one piece of a clip; batch: pieces at once.
    """

    width: int = 128
    channels: int = 8
    dropouts: tuple[float, ...] = (0.1, 0.4)
    epochs: int = 30
    patience: int = 4
    batch: int = 8
    batch_frames: int = 48
    rate: float = 2e-3
    decay: float = 1e-2
    seed: int = 0


class ConvolutionalDecoder:
    """A trained network. score: pixel r of the clips that it was chosen on."""

    def __init__(self, scale: Scale, network: _Network) -> None:
        self.score = np.nan
        self._scale, self._network = scale, network

    @torch.no_grad()
    def movie(self, target: Target) -> Array:
        """Return float32 (T, 36, 64), 0..255."""
        scored = torch.from_numpy(self._scale.scored(target)).float()
        pixels = self._network.eval()(scored[None])[0] * CONTRAST + GRAY
        return np.asarray(pixels.clamp(0, 255).numpy(), np.float32)


def fit_convolutional(
    clips: Sequence[Clip],
    settings: ConvolutionalSettings | None = None,
    report: Report = silent,
) -> ConvolutionalDecoder:
    """Fit to clips whose stimulus is known; UserError if they are too few."""
    settings = settings or ConvolutionalSettings()
    fitted, kept = divided(clips)
    lessons = _Lessons.of(fitted, settings)

    def judged(network: _Network, word: str, share: float) -> ConvolutionalDecoder:
        decoder = ConvolutionalDecoder(lessons.scale, copy.deepcopy(network))
        decoder.score = score_of(decoder, kept)
        report("convolutional decoder", share, f"{word}: pixel r {decoder.score:.3f}")
        return decoder

    tried = [_trained(lessons, dropout, judged) for dropout in settings.dropouts]
    return max(tried, key=lambda decoder: decoder.score)


_Judge = Callable[["_Network", str, float], ConvolutionalDecoder]


def _trained(lessons: _Lessons, dropout: float, judged: _Judge) -> ConvolutionalDecoder:
    """Return the best decoder that training came by."""
    settings = lessons.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = _Network(len(lessons.scale.mean), settings, dropout)
        rate, decay = settings.rate, settings.decay
        steps = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
        tried: list[ConvolutionalDecoder] = []
        best = 0
        for epoch in range(settings.epochs):
            for activity, shown in lessons.batches(epoch):
                steps.zero_grad()
                _misfit(network.train()(activity), shown).backward()
                steps.step()
            word = f"dropout {dropout:g}, epoch {epoch + 1}"
            tried.append(judged(network, word, (epoch + 1) / settings.epochs))
            best = max(best, epoch, key=lambda place: tried[place].score)
            if epoch - best >= settings.patience:
                break
    return tried[best]


def _misfit(made: Tensor, shown: Tensor) -> Tensor:
    """Return the mean squared error where it is known what was shown."""
    known = shown.isfinite()
    return ((made - shown.nan_to_num()) * known).square().sum() / known.sum()


@dataclass(frozen=True)
class _Lessons:
    """Clips to learn from: z-scored activity (T, n) and contrast shown (T, 36, 64)."""

    settings: ConvolutionalSettings
    scale: Scale
    clips: list[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, clips: Sequence[Clip], settings: ConvolutionalSettings) -> _Lessons:
        scale = scale_of(clips)
        pairs = []
        for clip in clips:
            scored = torch.from_numpy(scale.scored(clip.target)).float()
            shown = torch.from_numpy(np.asarray(shown_in(clip), np.float32))
            pairs.append((scored, (shown - GRAY) / CONTRAST))
        return cls(settings, scale, pairs)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pieces in any order, cut anew in every epoch: (B, frames, ...) each."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        shortest = min(len(scored) for scored, _ in self.clips)
        size = min(self.settings.batch_frames, shortest)
        pieces = [
            (place, slice(start, start + size))
            for place, (scored, _) in enumerate(self.clips)
            for start in _starts(len(scored), size, rng)
        ]
        order = torch.from_numpy(rng.permutation(len(pieces)))
        for some in order.split(self.settings.batch):
            cut = [pieces[piece] for piece in some.tolist()]
            yield (
                torch.stack([self.clips[place][0][part] for place, part in cut]),
                torch.stack([self.clips[place][1][part] for place, part in cut]),
            )


def _starts(n_frames: int, size: int, rng: np.random.Generator) -> range:
    """Return where pieces begin that lie side by side, a random way in."""
    spare = n_frames - size
    return range(int(rng.integers(min(size, spare + 1))), spare + 1, size)


class _Network(nn.Module):
    """From activity (B, T, n) to contrast (B, T, 36, 64)."""

    def __init__(
        self, n_neurons: int, settings: ConvolutionalSettings, dropout: float
    ) -> None:
        super().__init__()
        width, channels = settings.width, settings.channels
        self._coarse = channels, *_COARSE
        self.dropped = nn.Dropout1d(dropout)
        self.mixed = nn.Conv1d(n_neurons, width, 1)
        self.timed = nn.Conv1d(width, width, 1 + _BEFORE + _AFTER)
        self.placed = nn.Linear(width, channels * _COARSE[0] * _COARSE[1])
        self.finer = nn.ConvTranspose2d(channels, channels, 4, 2, 1)
        self.finest = nn.ConvTranspose2d(channels, 1, 4, 2, 1)

    def forward(self, activity: Tensor) -> Tensor:
        """Return what was shown, as contrast."""
        mixed = functional.gelu(self.mixed(self.dropped(activity.transpose(1, 2))))
        timed = self.timed(functional.pad(mixed, (_BEFORE, _AFTER)))
        placed = self.placed(functional.gelu(timed).transpose(1, 2))
        coarse = placed.view(-1, *self._coarse)
        fine = functional.gelu(self.finer(functional.gelu(coarse)))
        pixels: Tensor = self.finest(fine)
        return pixels.view(*activity.shape[:2], *pixels.shape[-2:])
