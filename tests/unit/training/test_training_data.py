"""Training data are assembled from segments; invalid activity is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.rois import roi_set
from rtrecon.training.training_data import (
    Segment,
    SegmentSource,
    TrainedNeurons,
    TrainingData,
    assemble,
)

N_FRAMES, N_NEURONS = 40, 3


def make_segment() -> Segment:
    rng = np.random.default_rng(0)
    return Segment(
        movie=rng.integers(0, 256, (N_FRAMES, 36, 64)).astype(np.uint8),
        behavior=rng.normal(size=(N_FRAMES, 4)),
        activity=rng.gamma(0.5, 2, (N_FRAMES, N_NEURONS)).astype(np.float32),
    )


def assemble_segments(training: Segment, validation: Segment) -> TrainingData:
    units = roi_set.build_unit_roi_set(np.arange(N_NEURONS))
    neurons = TrainedNeurons(units, np.zeros((1, *units.shape), np.float32))
    return assemble(
        SegmentSource([training], N_FRAMES),
        SegmentSource([validation], N_FRAMES),
        neurons,
    )


@pytest.mark.parametrize("value", [-0.5, -np.inf, np.inf])
@pytest.mark.parametrize("is_training", [True, False])
def test_negative_and_infinite_activity_is_refused(value: float, is_training: bool):
    good, bad = make_segment(), make_segment()
    bad.activity[20, 1] = value
    words = rf"activity of neuron index 1 is {value:g} in frame 20 of a segment"
    with pytest.raises(UserError, match=words):
        assemble_segments(*((bad, good) if is_training else (good, bad)))


def test_lost_activity_and_silent_neurons_are_accepted():
    segment = make_segment()
    segment.activity[20, 1] = np.nan
    segment.activity[:, 2] = 0
    found = assemble_segments(segment, make_segment()).training.activity
    assert found[11:].isnan().nonzero().tolist() == [[9, 1]]
