"""The decoder is fitted to a linear population, and its errors are measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.activity_decoder import LOOK_AHEADS, PAST_FRAMES
from rtrecon.encoder.prior import Prior, fit_prior
from rtrecon.rois.roi_set import build_unit_roi_set
from rtrecon.training import decoder_fit
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.training_data import TrainedNeurons, TrainingData

N, N_COEF, LATE = 30, 6, 3  # neurons follow the movie LATE frames later
N_TRAINING, N_VALIDATION = 1500, 400
NOISE = 0.5


def make_data(n_frames, seed):
    generator = torch.Generator().manual_seed(seed)
    rho = torch.full((N_COEF,), 0.9)
    movie = Prior(torch.full((N_COEF,), 2.0), rho, (1 - rho**2).sqrt(), 0 * rho)
    z = torch.randn(1 + n_frames, N_COEF, generator=generator)
    coef = movie.generate_frames(z, movie.mean)
    weights = torch.randn(N_COEF, N, generator=torch.Generator().manual_seed(0))
    late = torch.cat([coef[:1].expand(LATE, -1), coef])[:n_frames]
    noise = NOISE * torch.randn(n_frames, N, generator=generator)
    return EncoderData(coef, torch.zeros(n_frames, 4), 20 + late @ weights + noise)


@pytest.fixture(scope="module")
def data():
    training = make_data(N_TRAINING, 1)
    training.activity[100:130] = torch.nan
    training.activity[:, 4] = torch.nan  # never recorded
    rois = build_unit_roi_set(np.arange(N))
    return TrainingData(
        training=training,
        validation=make_data(N_VALIDATION, 2),
        prior_clips=training.coef,
        clip_frames=100,
        neurons=TrainedNeurons(rois, np.zeros((1, 1, N), np.float32)),
        behavior_mean=torch.zeros(4),
        behavior_sd=torch.ones(4),
        is_measured=torch.zeros(4, dtype=torch.bool),
    )


@pytest.fixture(scope="module")
def prior(data):
    return fit_prior(data.prior_clips, data.clip_frames)


@pytest.fixture(scope="module")
def decoder(data, prior):
    torch.set_num_threads(1)
    return decoder_fit.fit_activity_decoder(data, prior)


def decode(decoder, data, index):
    latents = decoder.project_activity(data.activity)
    padding = (0, 0, PAST_FRAMES, LOOK_AHEADS[index])
    padded = torch.nn.functional.pad(latents, padding)
    return decoder.decode_with_look_ahead(padded, index)


def test_an_unseen_movie_is_decoded_once_neurons_have_responded(decoder):
    unseen = make_data(400, 3)
    errors = [
        (decode(decoder, unseen, index) - unseen.coef).square().mean()
        for index in range(len(LOOK_AHEADS))
    ]
    assert errors[0] < 0.8  # of a variance of 1: from the frames before
    assert errors[-1] < 0.1


def test_the_measured_errors_are_those_on_an_unseen_movie(decoder):
    unseen = make_data(2000, 4)
    missing = decoder_fit.choose_missing_neurons(N)
    assert 0 < missing.sum() < N / 2
    unseen.activity[:, missing] = torch.nan
    for index in (0, len(LOOK_AHEADS) - 1):
        found = (decode(decoder, unseen, index) - unseen.coef).square().mean()
        measured = decoder.residual_variance[index].mean()
        assert measured / 1.5 < found < 1.5 * measured
    assert (decoder.residual_ar >= 0).all()


def test_neurons_in_groups_are_decoded_nearly_as_well(
    data, prior, decoder, monkeypatch
):
    monkeypatch.setattr(decoder_fit, "_MAX_GROUP_NEURONS", 11)
    grouped = decoder_fit.fit_activity_decoder(data, prior)
    assert len(grouped.projection) == N
    assert grouped.residual_variance[-1].mean() < 0.15
