"""The live inversion of a convolutional encoder finds a movie that is known."""

from __future__ import annotations

import torch

from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.objective import InverseProblem
from tests.support.convolutional_world import make_network, make_readout
from tests.support.inversion_world import make_natural_prior

N, WINDOW, HOP, STEPS = 300, 24, 6, 30


def test_a_movie_is_found_from_the_rates_that_it_causes():
    torch.set_num_threads(1)
    prior = make_natural_prior()
    encoder = ConvolutionalEncoder(make_network(), make_readout(N))
    generator = torch.Generator().manual_seed(5)
    past = encoder.past_frames
    z = torch.randn(1 + past + 48, len(prior.mean), generator=generator)
    movie = prior.generate_frames(z, prior.mean)
    behavior = torch.zeros(48, 4)
    with torch.no_grad():
        activity = encoder.predict(movie, behavior)
    inversion = MapInversion(
        InverseProblem(encoder, prior, torch.full((N,), 5.0)), WINDOW
    )
    for start in range(0, 48, HOP):
        inversion.push_activity(activity[start : start + HOP], behavior[:HOP])
        for step in range(STEPS):
            inversion.step(step / (STEPS - 1))
    seen = slice(0, WINDOW - past)  # newer frames have not caused much yet
    found, shown = inversion.movie_coefficients()[seen], movie[-WINDOW:][seen]
    r = torch.corrcoef(torch.stack([found.flatten(), shown.flatten()]))[0, 1]
    recorded, predicted = activity[-WINDOW:], inversion.predict_activity()
    assert predicted.shape == recorded.shape
    error = (predicted - recorded)[seen].square().sum()
    without_movie = (activity.mean(0) - recorded)[seen].square().sum()
    assert r > 0.6
    assert error < 0.2 * without_movie
    information = inversion.information_fraction()
    assert (information[: -past - 1] > 0.99).all()
    assert information[-1] < 0.5
