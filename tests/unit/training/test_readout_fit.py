"""Readouts are found again: of neurons whose readout is known, without noise."""

from __future__ import annotations

import pytest
import torch

from rtrecon.encoder.convolutional import encoder as convolutional
from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder
from rtrecon.encoder.convolutional.feature_network import (
    GRID_SHAPE,
    N_DELAYS,
    N_NODES,
)
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.convolutional.position_search import (
    locate_peaks,
    project_features,
)
from rtrecon.training.convolutional.readout_fit import (
    differentiate,
    fit_readout,
    interpolate,
    read_corners,
)
from rtrecon.training.score import compute_correlation
from tests.support.convolutional_world import (
    N_FEATURES,
    N_WEIGHTS,
    make_movie,
    make_readout,
    make_shared_features,
)

N, N_FRAMES = 4, 500


@pytest.fixture(autouse=True)
def _float32(monkeypatch):
    monkeypatch.setattr(convolutional, "choose_precision", lambda device: torch.float32)


def make_data(encoder: ConvolutionalEncoder, seed: int) -> EncoderData:
    """Return a movie and the rates of the encoder's neurons, without noise."""
    movie = make_movie(N_FRAMES, seed)
    generator = torch.Generator().manual_seed(seed)
    behavior = torch.randn(N_FRAMES, len(BEHAVIOR), generator=generator)
    activity = torch.full((N_FRAMES, N), torch.nan)
    activity[encoder.past_frames :] = encoder.predict(movie, behavior)
    return EncoderData(movie, behavior, activity)


def test_readouts_of_known_neurons_are_found_from_their_rates():
    shared, known = make_shared_features(), make_readout(N)
    truth = ConvolutionalEncoder(shared.network, known)
    training = make_data(truth, seed=3)
    training.activity[200:220, 1] = torch.nan  # lost
    shares = list[float]()
    found = fit_readout(shared, training, lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    r = compute_correlation(found, make_data(truth, seed=4))
    assert (r > 0.99).all()  # an exponential one needs more passes than these
    assert (r > 0.999).sum() == N - 1
    assert (found.readout.position - known.position).abs().max() < 0.1
    gain = found.readout.behavior_gain
    torch.testing.assert_close(gain, known.behavior_gain, atol=0.05, rtol=0)


def test_a_silent_neuron_is_predicted_to_be_silent():
    shared = make_shared_features()
    data = make_data(ConvolutionalEncoder(shared.network, make_readout(N)), seed=3)
    data.activity[:, 2] = 0.0
    found = fit_readout(shared, data, lambda _share, _text: None)
    rates = found.predict(data.coef, data.behavior)
    assert rates.isfinite().all()
    assert rates[:, 2].max() < 1e-3


def test_a_peak_between_nodes_is_found():
    rows, columns = torch.arange(GRID_SHAPE[0]), torch.arange(GRID_SHAPE[1])
    peak = torch.tensor([7.3, 20.8])
    explained = -((rows[:, None] - peak[0]) ** 2) - (columns - peak[1]) ** 2
    corner = -((rows[:, None] + 2.0) ** 2) - (columns + 2.0) ** 2
    both = torch.stack([explained.flatten(), corner.flatten()], 1)
    assert both.shape == (N_NODES, 2)
    torch.testing.assert_close(
        locate_peaks(both), torch.stack([peak, torch.zeros(2)]), atol=1e-3, rtol=0
    )


def test_projected_features_are_sums_over_features_and_delays():
    maps, basis = torch.randn(4, N_FEATURES, 2, 3), torch.randn(N_WEIGHTS, 5)
    joined = torch.cat([maps[1:], maps[:-1]], 1)
    expected = torch.einsum("tfyx,fk->tkyx", joined, basis)
    assert N_DELAYS == 2
    torch.testing.assert_close(project_features(maps, basis), expected)


def test_derivatives_of_features_are_differences_between_points():
    by_node = torch.randn(N_NODES, 3, N_FEATURES)
    position, step = torch.tensor([[3.4, 5.7], [16.2, 30.1]]), 0.1

    def read(points: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        corners, fraction = read_corners(by_node, points)
        return corners, fraction[..., None]

    derivatives = differentiate(*read(position))
    for axis, derivative in enumerate(derivatives):
        move = step * torch.eye(2)[axis]
        after, before = (interpolate(*read(position + s * move)) for s in (1, -1))
        torch.testing.assert_close(
            derivative, (after - before) / (2 * step), atol=1e-4, rtol=1e-3
        )
