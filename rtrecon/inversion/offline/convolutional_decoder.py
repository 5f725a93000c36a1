"""A small convolutional decoder from activity over time to pixels, trained end to end.

The second baseline without an encoder. Temporal filters over all neurons give a coarse
image of several channels, which two transposed convolutions refine. It is trained on
some of the training clips until it no longer improves on the others, once for each
dropout; the best network is returned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.ridge_decoder import (
    BINS,
    ActivityScale,
    fit_scale,
    require_stimulus,
    score_decoder,
    split_clips,
)
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.stimulus_space.space import CONTRAST_LEVELS, MIDDLE_LEVEL

_BEFORE, _AFTER = -BINS[0][0], BINS[-1][1] - 1  # frames around the decoded one
_COARSE = (9, 16)  # a quarter of the screen's sides


@dataclass(frozen=True)
class ConvolutionalSettings:
    """How the convolutional decoder is built and trained.

    width: temporal filters. channels: of the coarse picture. dropouts: fractions of
    neurons left out in training, each tried. epochs: at most; patience: how many
    without a better one. batch_frames: of one segment of a clip; batch: segments.
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

    def __init__(self, scale: ActivityScale, network: _DecoderNetwork) -> None:
        self.score = np.nan
        self._scale, self._network = scale, network

    @torch.no_grad()
    def decode(self, target: InversionTarget) -> Array:
        """Return float32 (T, 36, 64), 0..255."""
        scored = torch.from_numpy(self._scale.z_score(target)).float()
        pixels = self._network.eval()(scored[None])[0] * CONTRAST_LEVELS + MIDDLE_LEVEL
        return np.asarray(pixels.clamp(0, 255).numpy(), np.float32)


def fit_convolutional(
    clips: Sequence[Clip],
    settings: ConvolutionalSettings | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> ConvolutionalDecoder:
    """Fit to clips whose stimulus is known; UserError if they are too few."""
    settings = settings or ConvolutionalSettings()
    fitted, validation = split_clips(clips)
    training = _TrainingClips.from_clips(fitted, settings)

    def score_network(
        network: _DecoderNetwork, word: str, share: float
    ) -> ConvolutionalDecoder:
        decoder = ConvolutionalDecoder(training.scale, copy.deepcopy(network))
        decoder.score = score_decoder(decoder, validation)
        on_progress(
            "convolutional decoder", share, f"{word}: pixel r {decoder.score:.3f}"
        )
        return decoder

    tried = [
        _train_network(training, dropout, score_network)
        for dropout in settings.dropouts
    ]
    return max(tried, key=lambda decoder: decoder.score)


_ScoreNetwork = Callable[["_DecoderNetwork", str, float], ConvolutionalDecoder]


def _train_network(
    training: _TrainingClips, dropout: float, score_network: _ScoreNetwork
) -> ConvolutionalDecoder:
    """Train a network; return the best decoder of all epochs."""
    settings = training.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = _DecoderNetwork(len(training.scale.mean), settings, dropout)
        rate, decay = settings.rate, settings.decay
        steps = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
        tried: list[ConvolutionalDecoder] = []
        best = 0
        for epoch in range(settings.epochs):
            for activity, stimulus in training.iterate_batches(epoch):
                steps.zero_grad()
                _mean_squared_error(network.train()(activity), stimulus).backward()
                steps.step()
            word = f"dropout {dropout:g}, epoch {epoch + 1}"
            tried.append(score_network(network, word, (epoch + 1) / settings.epochs))
            best = max(best, epoch, key=lambda index: tried[index].score)
            if epoch - best >= settings.patience:
                break
    return tried[best]


def _mean_squared_error(decoded: Tensor, stimulus: Tensor) -> Tensor:
    """Return the mean squared error over pixels whose stimulus is known."""
    known = stimulus.isfinite()
    return ((decoded - stimulus.nan_to_num()) * known).square().sum() / known.sum()


@dataclass(frozen=True)
class _TrainingClips:
    """Training clips: z-scored activity (T, n) and stimulus contrast (T, 36, 64)."""

    settings: ConvolutionalSettings
    scale: ActivityScale
    clips: list[tuple[Tensor, Tensor]]

    @classmethod
    def from_clips(
        cls, clips: Sequence[Clip], settings: ConvolutionalSettings
    ) -> _TrainingClips:
        scale = fit_scale(clips)
        pairs = []
        for clip in clips:
            scored = torch.from_numpy(scale.z_score(clip.target)).float()
            stimulus = torch.from_numpy(np.asarray(require_stimulus(clip), np.float32))
            pairs.append((scored, (stimulus - MIDDLE_LEVEL) / CONTRAST_LEVELS))
        return cls(settings, scale, pairs)

    def iterate_batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches (B, frames, ...) of random segments, cut anew per epoch."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        shortest = min(len(scored) for scored, _ in self.clips)
        size = min(self.settings.batch_frames, shortest)
        segments = [
            (clip_index, slice(start, start + size))
            for clip_index, (scored, _) in enumerate(self.clips)
            for start in _segment_starts(len(scored), size, rng)
        ]
        order = torch.from_numpy(rng.permutation(len(segments)))
        for some in order.split(self.settings.batch):
            cut = [segments[segment] for segment in some.tolist()]
            yield (
                torch.stack(
                    [self.clips[clip_index][0][part] for clip_index, part in cut]
                ),
                torch.stack(
                    [self.clips[clip_index][1][part] for clip_index, part in cut]
                ),
            )


def _segment_starts(n_frames: int, size: int, rng: np.random.Generator) -> range:
    """Return the starts of adjacent segments after a random offset."""
    spare = n_frames - size
    return range(int(rng.integers(min(size, spare + 1))), spare + 1, size)


class _DecoderNetwork(nn.Module):
    """From activity (B, T, n) to contrast (B, T, 36, 64)."""

    def __init__(
        self, n_neurons: int, settings: ConvolutionalSettings, dropout: float
    ) -> None:
        super().__init__()
        width, channels = settings.width, settings.channels
        self._coarse = channels, *_COARSE
        self.dropout = nn.Dropout1d(dropout)
        self.neuron_filters = nn.Conv1d(n_neurons, width, 1)
        self.temporal_filters = nn.Conv1d(width, width, 1 + _BEFORE + _AFTER)
        self.coarse_map = nn.Linear(width, channels * _COARSE[0] * _COARSE[1])
        self.upsample_first = nn.ConvTranspose2d(channels, channels, 4, 2, 1)
        self.upsample_second = nn.ConvTranspose2d(channels, 1, 4, 2, 1)

    def forward(self, activity: Tensor) -> Tensor:
        """Return the movie as contrast (B, T, 36, 64)."""
        mixed = functional.gelu(
            self.neuron_filters(self.dropout(activity.transpose(1, 2)))
        )
        timed = self.temporal_filters(functional.pad(mixed, (_BEFORE, _AFTER)))
        placed = self.coarse_map(functional.gelu(timed).transpose(1, 2))
        coarse = placed.view(-1, *self._coarse)
        fine = functional.gelu(self.upsample_first(functional.gelu(coarse)))
        pixels: Tensor = self.upsample_second(fine)
        return pixels.view(*activity.shape[:2], *pixels.shape[-2:])
