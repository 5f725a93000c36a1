"""The prior about a decoded movie: what it uses, and where activity was lost."""

from __future__ import annotations

import pytest
import torch

from rtrecon.encoder.prior import Prior
from rtrecon.inversion.decoded_prior import DecodedPrior
from tests.support.decoder_world import N_COEF, N_NEURONS, make_decoder

WINDOW = 20
ALL = torch.ones(N_NEURONS, dtype=torch.bool)
SD = 3.0


@pytest.fixture(scope="module")
def decoder():
    return make_decoder()


def make_prior():
    whole = torch.ones(N_COEF)
    return Prior(0 * whole, 0 * whole, SD * whole, frame_error_sd=whole)


def window_prior(decoder, activity, used=ALL):
    made = DecodedPrior(decoder, make_prior(), used, WINDOW)
    for hop in activity.split(5):
        made.push_activity(hop)
    return made.window_prior()


def make_activity(n_frames=2 * WINDOW):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n_frames, N_NEURONS, generator=generator)


def test_without_activity_the_prior_is_that_of_movies(decoder):
    silent = torch.full((WINDOW, N_NEURONS), torch.nan)
    for activity in (silent, silent[:0]):
        prior = window_prior(decoder, activity)
        torch.testing.assert_close(prior.mean, decoder.offset.expand(WINDOW, -1))
        spread = prior.innovation_sd.square() / (1 - prior.ar_coefficient**2)
        torch.testing.assert_close(spread, torch.full((WINDOW, N_COEF), SD**2))


def test_with_activity_the_prior_has_the_decoders_errors(decoder):
    prior = window_prior(decoder, make_activity())
    variance, ar = decoder.residual_variance, decoder.residual_ar
    torch.testing.assert_close(
        prior.innovation_sd[0].square(), variance[-1] * (1 - ar**2)
    )
    assert (prior.innovation_sd > 0).all()


def test_activity_that_was_lost_in_part_lies_between(decoder):
    activity = make_activity()
    activity[-30:-10] = torch.nan
    lossy = window_prior(decoder, activity)
    whole = window_prior(decoder, make_activity())
    assert (lossy.frame_error_sd > whole.frame_error_sd).all()
    torch.testing.assert_close(lossy.innovation_sd[-5:], whole.innovation_sd[-5:])


def test_neurons_that_may_not_be_used_change_nothing(decoder):
    used = torch.arange(N_NEURONS) != 3
    activity, other = make_activity(), make_activity()
    other[:, 3] += 5
    made, again = (window_prior(decoder, each, used) for each in (activity, other))
    assert torch.equal(made.mean, again.mean)
    assert not torch.equal(made.mean, window_prior(decoder, activity).mean)


def test_hops_of_any_length_give_the_same_prior(decoder):
    activity = make_activity()
    at_once = DecodedPrior(decoder, make_prior(), ALL, WINDOW)
    at_once.push_activity(activity)
    torch.testing.assert_close(
        at_once.window_prior().mean, window_prior(decoder, activity).mean
    )
