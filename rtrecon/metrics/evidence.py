"""What live metrics are computed from: the evidence of a hop, and their settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from rtrecon.core.types import Array

WINDOW_S = 20.0  # a metric describes the newest frames
MIN_S = 3.0  # with fewer frames a metric has no value yet
MAX_EVIDENCE_AGE_S = 2.0  # a metric has no value so long after its newest evidence
WINDOW_FRAMES, MIN_FRAMES = round(30 * WINDOW_S), round(30 * MIN_S)  # at 30 Hz


@dataclass(frozen=True)
class MetricSetup:
    """What an accumulator needs to know before the first hop.

    visual_field: (height, width) bool, pixels where the neurons look. n_held_out: how
    many neurons are held out. rate_hz: encoder frames per second. window_frames: newest
    frames that a value describes. min_frames: with fewer there is no value.
    frame_step: scores of single frames look at every frame_step-th one, which is enough
    where frames follow each other closely. is_picture: whether neighbours on both axes
    of a frame are alike.
    """

    visual_field: Array
    n_held_out: int = 0
    rate_hz: float = 30.0
    window_frames: int = WINDOW_FRAMES
    min_frames: int = MIN_FRAMES
    frame_step: int = 1
    is_picture: bool = True

    @property
    def max_evidence_age_frames(self) -> int:
        """Frames after its newest evidence, after which a metric has no value."""
        return round(MAX_EVIDENCE_AGE_S * self.rate_hz)

    @property
    def visual_field_pixels(self) -> Array:
        """Indices of the visual field's pixels in a frame that is flattened, (n,)."""
        return np.flatnonzero(self.visual_field)


@dataclass(frozen=True)
class HopEvidence:
    """One hop of h frames of one age, oldest first, and what to compare them with.

    index: encoder frame of the first one. movie: (h, height, width) levels 0..255.
    stimulus: for each frame the stimulus (height, width), None where it is
    not known. predicted: (h, n) activity of the n held-out neurons that the movie would
    cause. recorded: (h, n) their recorded activity, NaN where it was lost.
    movie_response, stimulus_response: (h, all neurons) what the encoder answers to
    movie and stimulus; None where that is not computed, rows of NaN where it cannot be.
    """

    index: int
    movie: Array
    stimulus: Sequence[Array | None]
    predicted: Array
    recorded: Array
    movie_response: Array | None = None
    stimulus_response: Array | None = None

    @cached_property
    def segments(self) -> list[FramePairs]:
        """The frames that can be compared with the stimulus, without gaps.

        Frames with a pixel that is not finite are left out.
        """
        return list(_iterate_segments(self))


@dataclass(frozen=True)
class FramePairs:
    """Frames in a row whose stimulus is known; float32 (k, height, width) each.

    start: position of the first one in its hop.
    """

    start: int
    movie: Array
    stimulus: Array


def _iterate_segments(evidence: HopEvidence) -> Iterator[FramePairs]:
    is_finite = np.asarray(np.isfinite(evidence.movie).all((1, 2)))
    start = 0
    while start < len(is_finite):
        images = list[Array]()
        for image, finite in zip(
            evidence.stimulus[start:], is_finite[start:], strict=True
        ):
            if image is None or not finite or not np.isfinite(image).all():
                break
            images.append(image)
        if images:
            movie = np.asarray(evidence.movie[start : start + len(images)], np.float32)
            yield FramePairs(start, movie, np.stack(images).astype(np.float32))
        start += len(images) + 1


class MetricAccumulator(Protocol):
    """Computes one metric from a stream of hops."""

    def add_hop(self, evidence: HopEvidence) -> None:
        """Add the frames of one hop."""
        ...

    def value(self) -> float | None:
        """Return the metric over the newest frames, None if it is not known.

        A value that no new evidence supports any more is not known either.
        """
        ...
