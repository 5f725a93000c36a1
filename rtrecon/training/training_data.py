"""Training data of one mouse: movie, behavior and activity, from any source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import DctBasis, make_dct_basis
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.rois.roi_set import RoiSet
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO
from rtrecon.training.compact.encoder_data import EncoderData, concatenate_trials

CLIP_FRAMES = 150  # the prior is fitted to movies cut into clips of this length
SETTLE_FRAMES = 300  # dropped at a session's start, while baselines settle
MIN_VALIDATION_FRAMES = 300


@dataclass(frozen=True)
class Segment:
    """T consecutive frames as recorded; frames before them are unknown.

    movie: (T, height, width) levels 0..255. behavior: (T, 4) in the order of
    `BEHAVIOR`. activity: (T, n). NaN where behavior or activity is unknown.
    """

    movie: Array
    behavior: Array
    activity: Array

    def __len__(self) -> int:
        return len(self.movie)

    def slice_frames(self, start: int, stop: int) -> Segment:
        """Return frames start to stop."""
        frames = slice(start, stop)
        return Segment(self.movie[frames], self.behavior[frames], self.activity[frames])


@dataclass(frozen=True)
class SegmentSource:
    """Segments that are read one at a time, of `max_frames` frames in total."""

    segments: Iterable[Segment]
    max_frames: int


@dataclass(frozen=True)
class TrainedNeurons:
    """Masks, and the mean image (planes, lines, pixels) of their field, or zeros."""

    rois: RoiSet
    mean_image: Array


@dataclass(frozen=True)
class TrainingData:
    """All that training needs.

    prior_clips: (T, C), movies to fit the prior to, cut every `clip_frames`. ceiling:
    (n,) correlation that a perfect encoder would reach with single trials of the
    validation frames, where it is known. is_measured: (4,) bool, behavior that was
    measured in some frame; the mean of the others is 0. metadata: for the checkpoint.
    notices: sentences for the user. space: of the stimulus. unresolved_variance:
    (height, width) mean square of what coefficients leave out of the validation frames,
    in squared levels.
    """

    training: EncoderData
    validation: EncoderData
    prior_clips: Tensor
    clip_frames: int
    neurons: TrainedNeurons
    behavior_mean: Tensor
    behavior_sd: Tensor
    is_measured: Tensor
    ceiling: Array | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    unresolved_variance: Array = field(default_factory=lambda: np.zeros(VIDEO.shape))
    space: StimulusSpace = VIDEO


def assemble(
    training: SegmentSource,
    validation: SegmentSource,
    neurons: TrainedNeurons,
    space: StimulusSpace = VIDEO,
) -> TrainingData:
    """Read all segments; standardize behavior by the training frames' mean and s.d.

    Missing behavior is replaced by its training mean, and a notice reports it. Raises
    UserError if there are no frames, or activity is negative or infinite.
    """
    basis = make_dct_basis(space)
    training_raw, lengths = _read_segments(training, basis, "train on")
    unresolved = _UnresolvedVariance(space)
    watched = unresolved.watch(validation)
    validation_raw, _ = _read_segments(watched, basis, "validate with")
    mean, sd = _compute_behavior_statistics(training_raw.behavior)
    clip_frames = min(CLIP_FRAMES, max(lengths))
    return TrainingData(
        training=_standardize_behavior(training_raw, mean, sd),
        validation=_standardize_behavior(validation_raw, mean, sd),
        prior_clips=_cut_prior_clips(training_raw.coef, lengths, clip_frames),
        clip_frames=clip_frames,
        neurons=neurons,
        behavior_mean=mean,
        behavior_sd=sd,
        is_measured=training_raw.behavior.isfinite().any(0),
        notices=tuple(_list_missing_behavior(training_raw.behavior)),
        unresolved_variance=unresolved.compute_mean(),
        space=space,
    )


def add_metadata(
    data: TrainingData, ceiling: Array | None, **metadata: Any
) -> TrainingData:
    """Return the same data with a ceiling and metadata for the checkpoint."""
    return replace(data, ceiling=ceiling, metadata=metadata)


def count_validation_frames(n_frames: int) -> int:
    """Return how many of the last frames validate: a tenth, but not too few."""
    return max(MIN_VALIDATION_FRAMES, n_frames // 10)


def split_last(segments: list[Segment], n_frames: int) -> tuple[list[Segment], ...]:
    """Return (first, last): the last `n_frames` frames apart from those before them."""
    first: list[Segment] = list(segments)
    last: list[Segment] = []
    while first and n_frames > 0:
        segment = first.pop()
        cut = max(0, len(segment) - n_frames)
        n_frames -= len(segment)
        last.insert(0, segment.slice_frames(cut, len(segment)))
        if cut:
            first.append(segment.slice_frames(0, cut))
    return first, last


def _read_segments(
    source: SegmentSource, basis: DctBasis, purpose: str
) -> tuple[EncoderData, list[int]]:
    """Return segments one after the other, behavior raw, and the frames of each.

    Segments shorter than an encoder's memory are left out: none of their frames can be
    predicted.
    """
    lengths = list[int]()

    def read_all() -> Iterator[EncoderData]:
        for segment in source.segments:
            if len(segment) >= MEMORY_FRAMES:
                lengths.append(len(segment))
                yield _to_encoder_data(basis, segment)

    try:
        return concatenate_trials(read_all(), source.max_frames), lengths
    except LookupError:
        raise UserError(f"there are no frames to {purpose}; record more") from None


class _UnresolvedVariance:
    """Mean square of what the coefficients leave out of frames that pass by."""

    def __init__(self, space: StimulusSpace) -> None:
        self._basis, self._n_frames = make_dct_basis(space), 0
        self._sum = np.zeros(space.shape)

    def watch(self, source: SegmentSource) -> SegmentSource:
        """Return the same segments; each is added when it is read."""
        return replace(source, segments=self._add_each(source.segments))

    def compute_mean(self) -> Array:
        """Return the mean (height, width) in squared levels."""
        return self._sum / max(1, self._n_frames)

    def _add_each(self, segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:
            resolved = self._basis.to_pixels(self._basis.from_pixels(segment.movie))
            self._sum += np.square(segment.movie - resolved).sum(0)
            self._n_frames += len(segment)
            yield segment


def _to_encoder_data(basis: DctBasis, segment: Segment) -> EncoderData:
    behavior = np.asarray(segment.behavior, np.float32)
    activity = np.asarray(segment.activity, np.float32)
    _require_valid_activity(activity)
    return EncoderData(
        coef=basis.from_pixels(segment.movie),
        behavior=torch.from_numpy(behavior),
        activity=torch.from_numpy(activity),
    )


def _require_valid_activity(activity: Array) -> None:
    """Raise UserError unless activity is 0 or more; NaN marks lost activity."""
    is_invalid = (activity < 0) | np.isinf(activity)
    if is_invalid.any():
        frame, neuron = np.argwhere(is_invalid)[0]
        raise UserError(
            f"the activity of neuron index {neuron} is {activity[frame, neuron]:g} in "
            f"frame {frame} of a segment; training needs activity of 0 or more, so "
            "export the responses again without subtracting their mean"
        )


def _compute_behavior_statistics(behavior: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and s.d. (4,) of raw behavior; 0 and 1 where it was not measured."""
    mean = behavior.nanmean(0).nan_to_num()
    sd = (behavior - mean).square().nanmean(0).sqrt().nan_to_num()
    return mean, torch.where(sd > 0, sd, 1.0)


def _standardize_behavior(data: EncoderData, mean: Tensor, sd: Tensor) -> EncoderData:
    behavior = ((data.behavior - mean) / sd).nan_to_num()  # 0 is the mean
    return replace(data, behavior=behavior)


def _list_missing_behavior(behavior: Tensor) -> Iterator[str]:
    fractions = behavior.isnan().float().mean(0).tolist()
    for key, fraction in zip(BEHAVIOR, fractions, strict=True):
        name = key.replace("_", " ")
        if fraction == 1:
            yield f"{name} was not measured; the encoder does not depend on it"
        elif fraction:
            yield (
                f"{name} was not measured in {fraction:.1%} of the training frames; it "
                "is replaced by its mean over the others"
            )


def _cut_prior_clips(coef: Tensor, lengths: list[int], clip_frames: int) -> Tensor:
    """Return whole clips from segments of these lengths; no clip spans two segments."""
    starts = np.cumsum([0, *lengths[:-1]])
    return torch.cat(
        [
            coef[start : start + length // clip_frames * clip_frames]
            for start, length in zip(starts.tolist(), lengths, strict=True)
        ]
    )
