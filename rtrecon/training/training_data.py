"""What an encoder is trained on, whatever it was recorded with: one mouse's frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.spectrum import Spectrum, spectrum
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.rois.roi_set import RoiSet
from rtrecon.training.compact.data import Data, join

CLIP_FRAMES = 150  # that the prior's frames are taken to belong together


@dataclass(frozen=True)
class Stretch:
    """T consecutive frames as recorded; what came before them is not known.

    movie: (T, 36, 64), 0..255. behavior: (T, 4) in the order of `BEHAVIOR`, activity:
    (T, n); both NaN where they are not known.
    """

    movie: Array
    behavior: Array
    activity: Array

    def __len__(self) -> int:
        return len(self.movie)

    def part(self, start: int, stop: int) -> Stretch:
        """Return frames start to stop."""
        own = slice(start, stop)
        return Stretch(self.movie[own], self.behavior[own], self.activity[own])


@dataclass(frozen=True)
class Stretches:
    """Stretches that are read one at a time, of `frames_at_most` frames altogether."""

    each: Iterable[Stretch]
    frames_at_most: int


@dataclass(frozen=True)
class Neurons:
    """Masks, and their field (planes, lines, pixels); blank where it is not known."""

    rois: RoiSet
    mean_image: Array


@dataclass(frozen=True)
class Material:
    """All that training needs.

    clips: (T, C), movie to learn the prior from, cut every `clip_frames`. ceiling: (n,)
    correlation that a perfect encoder would reach with single trials of the validation
    frames, where it is known. measured: (4,) bool, which behaviour was, at some time or
    other; of the rest the mean is 0. meta: what the checkpoint says of it. notes:
    sentences on what somebody should know.
    """

    training: Data
    validation: Data
    clips: Tensor
    clip_frames: int
    neurons: Neurons
    behavior_mean: Tensor
    behavior_sd: Tensor
    measured: Tensor
    ceiling: Array | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def gather(training: Stretches, validation: Stretches, neurons: Neurons) -> Material:
    """Read all stretches; behaviour is measured by the training frames' mean and s.d.

    Where behaviour was not measured, that mean stands in for it, and a note says so.
    Raises UserError where nothing is left to learn from.
    """
    seen, lengths = _read(training, "train on")
    kept, _ = _read(validation, "validate with")
    mean, sd = _usual(seen.behavior)
    clip_frames = min(CLIP_FRAMES, max(lengths))
    return Material(
        training=_scaled(seen, mean, sd),
        validation=_scaled(kept, mean, sd),
        clips=_clips(seen.coef, lengths, clip_frames),
        clip_frames=clip_frames,
        neurons=neurons,
        behavior_mean=mean,
        behavior_sd=sd,
        measured=seen.behavior.isfinite().any(0),
        notes=tuple(_missing(seen.behavior)),
    )


def with_meta(material: Material, ceiling: Array | None, **meta: Any) -> Material:
    """Return the same material with what is known of it besides."""
    return replace(material, ceiling=ceiling, meta=meta)


def _read(stretches: Stretches, purpose: str) -> tuple[Data, list[int]]:
    """Return what was read one after the other, behaviour raw, and each one's frames.

    A stretch that ends before an answer's memory is full tells nothing.
    """
    low, lengths = spectrum(), []

    def read() -> Iterator[Data]:
        for stretch in stretches.each:
            if len(stretch) >= MEMORY:
                lengths.append(len(stretch))
                yield _as_data(low, stretch)

    try:
        return join(read(), stretches.frames_at_most), lengths
    except LookupError:
        raise UserError(f"there are no frames to {purpose}; record more") from None


def _as_data(low: Spectrum, stretch: Stretch) -> Data:
    behavior = np.asarray(stretch.behavior, np.float32)
    activity = np.asarray(stretch.activity, np.float32)
    return Data(
        coef=low.from_pixels(stretch.movie),
        behavior=torch.from_numpy(behavior),
        activity=torch.from_numpy(activity),
    )


def _usual(behavior: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and s.d. (4,) of raw behaviour; 0 and 1 where it was not measured."""
    mean = behavior.nanmean(0).nan_to_num()
    sd = (behavior - mean).square().nanmean(0).sqrt().nan_to_num()
    return mean, torch.where(sd > 0, sd, 1.0)


def _scaled(data: Data, mean: Tensor, sd: Tensor) -> Data:
    scaled = ((data.behavior - mean) / sd).nan_to_num()  # 0 is the mean
    return replace(data, behavior=scaled)


def _missing(behavior: Tensor) -> Iterator[str]:
    shares = behavior.isnan().float().mean(0).tolist()
    for measured, share in zip(BEHAVIOR, shares, strict=True):
        name = measured.replace("_", " ")
        if share == 1:
            yield f"{name} was not measured; the encoder will not know what it does"
        elif share:
            yield (
                f"{name} was not measured in {share:.1%} of the training frames; its "
                "mean over the others stands in for it"
            )


def _clips(coef: Tensor, lengths: list[int], clip_frames: int) -> Tensor:
    """Return whole clips out of stretches of these lengths, in none two of them."""
    starts = np.cumsum([0, *lengths[:-1]])
    return torch.cat(
        [
            coef[start : start + length // clip_frames * clip_frames]
            for start, length in zip(starts.tolist(), lengths, strict=True)
        ]
    )
