"""How often a clip's own stimulus is recognised among those of all clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtrecon.analysis.evaluation.scores import ClipResult, Scores
from rtrecon.core.types import Array
from rtrecon.metrics.identification import (
    BLOCK_PX,
    SEGMENT_S,
    SegmentNormalizer,
    identify_segments,
)
from rtrecon.metrics.live_metrics import IDENTIFICATION, PAIRWISE_IDENTIFICATION
from rtrecon.metrics.similarity import mean_of_defined


def identify_clips(results: Sequence[ClipResult], visual_field: Array) -> list[Scores]:
    """Return both scores of each clip: means over its segments of a second.

    A segment is compared with the segments of all clips. NaN for a clip without one.
    """
    block = BLOCK_PX if results[0].clip.space.is_picture else 1
    normalizer = SegmentNormalizer(visual_field, block)
    parts = [_cut_segments(result, normalizer) for result in results]
    movie, stimulus = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not len(movie):
        return [_make_scores(np.empty(0), np.empty(0)) for _ in results]
    found = identify_segments(movie, stimulus)
    stops = np.cumsum([len(part[0]) for part in parts])[:-1]
    return [
        _make_scores(recognised, pairwise)
        for recognised, pairwise in zip(
            np.split(found.recognised, stops),
            np.split(found.pairwise, stops),
            strict=True,
        )
    ]


def _make_scores(recognised: Array, pairwise: Array) -> Scores:
    return {
        IDENTIFICATION.name: mean_of_defined(recognised),
        PAIRWISE_IDENTIFICATION.name: mean_of_defined(pairwise),
    }


def _cut_segments(
    result: ClipResult, normalizer: SegmentNormalizer
) -> tuple[Array, Array]:
    """Return movie and stimulus as (segments, frames, blocks), of scored frames."""
    movie, stimulus = result.pair_with_stimulus(result.select_scored_frames())
    segment_frames = max(1, round(SEGMENT_S * result.clip.rate_hz))
    n_segments = len(movie) // segment_frames
    normalized = (
        normalizer.normalize_frames(frames[: n_segments * segment_frames])
        for frames in (movie, stimulus)
    )
    made, shown = (
        frames.reshape(n_segments, segment_frames, normalizer.n_blocks)
        for frames in normalized
    )
    return made, shown
