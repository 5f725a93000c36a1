"""What the encoder answers to the stimulus, beside its answer to a whole movie."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.live.stimulus_responses import StimulusResponses
from rtrecon.protocol import messages
from tests.support.inversion_world import make_checkpoint

STIMULUS = np.random.default_rng(0).integers(0, 256, (40, 36, 64)).astype(np.uint8)
BEHAVIOR = (40.0, 5.0, None, None)


@pytest.fixture(scope="module")
def checkpoint():
    return make_checkpoint(30)


@pytest.fixture
def responses(checkpoint) -> StimulusResponses:
    made = StimulusResponses(checkpoint)
    for index, image in enumerate(STIMULUS):
        made.add_stimulus(index, image)
        made.add_activity(
            messages.Activity(
                session="s",
                seq=0,
                t=0.0,
                encoder_frame=index,
                frame=index,
                t_frame=0.0,
                behavior=BEHAVIOR,
            )
        )
    return made


def test_hops_of_answers_are_those_of_the_whole_movie(checkpoint, responses):
    encoder = checkpoint.require_compact()
    raw = torch.tensor([40.0, 5.0, torch.nan, torch.nan]).expand(len(STIMULUS), -1)
    behavior = checkpoint.calibration.standardize_behavior(raw)
    frames = make_dct_basis().from_pixels(STIMULUS)
    expected = encoder.predict(frames, behavior).numpy()
    past = encoder.past_frames
    found = [responses.predict(start, 5) for start in range(past, 36, 5)]
    np.testing.assert_allclose(
        np.concatenate(found), expected[: 5 * len(found)], rtol=1e-4
    )


def test_without_the_whole_stimulus_there_is_no_answer(checkpoint, responses):
    past = checkpoint.encoder.past_frames
    assert responses.predict(past - 1, 5) is None  # a frame before the first is needed
    assert responses.predict(36, 5) is None  # the last frame has not been received
    assert responses.predict(35, 5) is not None


def test_a_new_session_forgets_the_stimulus(responses):
    responses.begin_session()
    assert responses.predict(20, 5) is None


def test_only_the_newest_frames_are_stored(checkpoint, responses):
    for index in range(40, 400):
        responses.add_stimulus(index, STIMULUS[index % 40])
    assert responses.predict(20, 5) is None
    assert responses.predict(390, 5) is not None
