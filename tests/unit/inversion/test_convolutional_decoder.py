"""The convolutional decoder in the linear world, as long as it gets better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.encoder.spectrum import SHAPE
from rtrecon.inversion.offline.convolutional_decoder import (
    ConvolutionalSettings,
    fit_convolutional,
)
from rtrecon.inversion.offline.ridge_decoder import divided, score_of
from rtrecon.inversion.offline.target import Target
from rtrecon.metrics.similarity import video_correlation
from tests.support import inversion_world as world

TRAINING = [world.linear_clip(seed) for seed in range(8)]
TEST = world.linear_clip(10)
SMALL = ConvolutionalSettings(
    width=48, channels=4, dropouts=(0.0, 0.3), epochs=6, batch=4, batch_frames=24
)
BRIEF = replace(SMALL, dropouts=(0.1,), epochs=2)


@pytest.fixture(scope="module")
def fitted():
    """The decoder, and what was told on the way."""
    torch.set_num_threads(1)
    told = []
    decoder = fit_convolutional(TRAINING, SMALL, lambda *report: told.append(report))
    return decoder, told


def test_a_linear_world_is_read_back(fitted):
    movie = fitted[0].movie(TEST.target)
    assert movie.shape == (world.LINEAR_FRAMES, *SHAPE)
    assert movie.dtype == np.float32
    assert 0 <= movie.min() < movie.max() <= 255
    assert video_correlation(movie[:-12], TEST.shown[:-12]) > 0.4  # neurons are late


def test_the_best_of_all_that_was_tried_is_kept(fitted):
    decoder, told = fitted
    scores = [float(word.split()[-1]) for _, _, word in told]
    assert decoder.score == pytest.approx(max(scores), abs=1e-3)
    assert decoder.score == score_of(decoder, divided(TRAINING)[1])
    assert {word.split(",")[0] for *_, word in told} == {"dropout 0", "dropout 0.3"}


def test_training_ends_when_it_gets_no_better():
    rng = np.random.default_rng(0)
    noise = [
        replace(
            clip,
            target=Target(rng.random((world.LINEAR_FRAMES, 5)), clip.target.behavior),
        )
        for clip in TRAINING
    ]
    told = []
    settings = replace(SMALL, dropouts=(0.0,), epochs=60, patience=2)
    fit_convolutional(noise, settings, lambda *report: told.append(report))
    scores = [float(word.split()[-1]) for *_, word in told]
    assert len(scores) == int(np.argmax(scores)) + 1 + settings.patience < 60


def test_the_seed_decides():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (
        fit_convolutional(TRAINING, replace(BRIEF, seed=seed)).movie(TEST.target)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_was_lost_or_not_shown_does_no_harm():
    holed = [replace(clip, shown=clip.shown.copy()) for clip in TRAINING]
    for clip in holed:
        clip.shown[:20] = np.nan
    decoder = fit_convolutional(holed, BRIEF)
    lossy = TEST.target.activity.copy()
    lossy[50:53] = np.nan
    movie = decoder.movie(Target(lossy, TEST.target.behavior))
    assert np.isfinite(movie).all()
    far = np.r_[:30, 70:100]
    np.testing.assert_allclose(movie[far], decoder.movie(TEST.target)[far], atol=1e-2)
