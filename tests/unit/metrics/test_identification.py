"""Recognition of segments whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.metrics.identification import SegmentNormalizer, identify_segments

RNG = np.random.default_rng(0)
N, FRAMES, BLOCKS = 12, 30, 50
STIMULUS = RNG.normal(size=(N, FRAMES, BLOCKS))


def test_every_segment_recognises_itself():
    found = identify_segments(STIMULUS, STIMULUS)
    assert found.recognised.tolist() == [1] * N
    assert found.pairwise.tolist() == [1] * N


def test_segments_of_another_movie_are_recognised_by_chance():
    movie = RNG.normal(size=(200, FRAMES, BLOCKS))
    stimulus = RNG.normal(size=(200, FRAMES, BLOCKS))
    found = identify_segments(movie, stimulus)
    # 200 segments: the s.d. of the share is 0.005, that of the pairwise mean 0.02.
    assert found.recognised.mean() < 0.03
    assert found.pairwise.mean() == pytest.approx(0.5, abs=0.1)


def test_exchanged_segments_recognise_each_other_and_not_themselves():
    movie = STIMULUS.copy()
    movie[[0, 1]] = movie[[1, 0]]
    found = identify_segments(movie, STIMULUS)
    assert found.recognised.tolist() == [0, 0] + [1] * (N - 2)
    assert found.pairwise[0] < 1


def test_the_same_stimulus_shown_twice_is_no_distractor():
    stimulus = STIMULUS.copy()
    stimulus[1] = stimulus[0]
    movie = stimulus + 0.5 * RNG.normal(size=stimulus.shape)
    assert identify_segments(movie, stimulus).recognised.tolist() == [1] * N


def test_segments_that_stand_still_have_no_result():
    movie, stimulus = STIMULUS.copy(), STIMULUS.copy()
    movie[2] = movie.mean((0, 1))
    constant = np.ones((N, FRAMES, BLOCKS))
    assert np.isnan(identify_segments(constant, stimulus).recognised).all()
    assert np.isnan(identify_segments(movie, constant).pairwise).all()


def test_one_segment_has_nothing_to_be_confused_with():
    found = identify_segments(STIMULUS[:1], STIMULUS[:1])
    assert np.isnan(found.recognised).all()
    assert np.isnan(found.pairwise).all()


def test_frames_are_compared_without_brightness_and_contrast():
    normalizer = SegmentNormalizer(np.ones((6, 8), bool))
    frames = RNG.uniform(0, 255, (4, 6, 8))
    one, other = (normalizer.normalize_frames(f) for f in (frames, 40 + 0.2 * frames))
    assert one.shape == (4, normalizer.n_blocks) == (4, 12)
    np.testing.assert_allclose(one, other, atol=1e-4)
    blank = normalizer.normalize_frames(np.full((2, 6, 8), 100.3))
    assert not blank.any()
