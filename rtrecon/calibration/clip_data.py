"""Makes training data of the clips of a running session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rtrecon.calibration.clips import ClipDivider, ClipRole, StimulusClip
from rtrecon.calibration.recorded_minutes import RecordedMinutes, RecordedRows
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.training_data import (
    Segment,
    SegmentSource,
    TrainedNeurons,
    TrainingData,
    assemble,
)

# Below, a window of the inversion hardly fits, or a correlation means nothing.
MIN_TRAINING_FRAMES, MIN_HELD_OUT_FRAMES = 900, 300


@dataclass(frozen=True)
class ClipData:
    """Data of the clips that are trained on, that choose, and that judge.

    training: its validation frames choose the epoch and the data weight. judging: never
    used for anything else.
    """

    training: TrainingData
    judging: EncoderData


def count_missing_frames(clips: ClipDivider) -> int:
    """Return how many more frames of new pictures are needed at least."""
    shortages = [MIN_TRAINING_FRAMES - clips.frames_of(ClipRole.TRAINING)]
    shortages += [
        MIN_HELD_OUT_FRAMES - clips.frames_of(role)
        for role in (ClipRole.VALIDATION, ClipRole.JUDGING)
    ]
    return sum(max(0, shortage) for shortage in shortages)


def make_clip_data(minutes: RecordedMinutes, neurons: TrainedNeurons) -> ClipData:
    """Return the data of all complete clips; there are enough of them."""
    rows, clips = minutes.rows, minutes.clips
    training, validation, judging = (
        list(_join_clips(rows, clips.clips_of(role)))
        for role in (ClipRole.TRAINING, ClipRole.VALIDATION, ClipRole.JUDGING)
    )
    held_out = [*validation, *judging]
    data = assemble(
        SegmentSource(training, sum(map(len, training))),
        SegmentSource(held_out, sum(map(len, held_out))),
        neurons,
        minutes.space,
    )
    # The start of each segment has no activity, so that they can be separated again.
    n_validation, n_held_out = sum(map(len, validation)), len(data.validation)
    return ClipData(
        replace(data, validation=data.validation.slice_frames(0, n_validation)),
        data.validation.slice_frames(n_validation, n_held_out),
    )


def _join_clips(rows: RecordedRows, clips: list[StimulusClip]) -> Iterator[Segment]:
    """Yield segments of clips; clips that follow each other without a gap are one."""
    start = stop = 0
    for clip in clips:
        if start < stop and not _follows(rows, stop, clip.start):
            yield rows.slice_segment(start, stop)
            start = clip.start
        elif start == stop:
            start = clip.start
        stop = clip.stop
    if start < stop:
        yield rows.slice_segment(start, stop)


def _follows(rows: RecordedRows, stop: int, start: int) -> bool:
    frames = rows.encoder_frames
    return start == stop and bool(frames[start] - frames[start - 1] == 1)
