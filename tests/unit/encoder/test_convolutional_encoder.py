"""The convolutional encoder: every neuron against its definition, step by step."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.convolutional import encoder as convolutional
from rtrecon.encoder.convolutional.encoder import (
    BASELINE_SHARE,
    ConvolutionalEncoder,
    build_convolutional_encoder,
)
from rtrecon.encoder.convolutional.feature_network import (
    GRID_SHAPE,
    WHOLE_GRID,
    to_grid,
)
from rtrecon.encoder.convolutional.readout import NodeProducts
from tests.support.convolutional_world import (
    N_FEATURES,
    make_encoder,
    make_movie,
    make_readout,
)

N, T = 40, 5


@pytest.fixture
def encoder(monkeypatch) -> ConvolutionalEncoder:
    """Return one that computes in float32 on every processor."""
    monkeypatch.setattr(convolutional, "choose_precision", lambda device: torch.float32)
    return make_encoder(N)


def interpolate(maps: Tensor, row: float, column: float) -> Tensor:
    """Return features (T, F) between the nodes of (T, F, rows, columns)."""
    top, left = min(int(row), GRID_SHAPE[0] - 2), min(int(column), GRID_SHAPE[1] - 2)
    down, right = row - top, column - left
    upper = (1 - right) * maps[..., top, left] + right * maps[..., top, left + 1]
    lower = (1 - right) * maps[..., top + 1, left] + right * maps[
        ..., top + 1, left + 1
    ]
    return (1 - down) * upper + down * lower


def test_each_neuron_reads_its_point_of_two_frames(encoder):
    movie, behavior = make_movie(MEMORY_FRAMES - 1 + T), torch.randn(T, 4)
    maps = encoder.network.compute_maps(to_grid(movie, WHOLE_GRID))
    readout, found = encoder.readout, encoder.predict(movie, behavior)
    assert found.shape == (T, N)
    for neuron in range(N):
        seen = interpolate(maps, *readout.position[neuron].tolist())
        present, before = readout.weights[neuron].split(N_FEATURES)
        drive = seen[1:] @ present + seen[:-1] @ before + readout.bias[neuron]
        tuned = torch.where(drive > 0, 1 + drive, drive.exp())
        gain = (behavior @ readout.behavior_gain[:, neuron]).exp()
        expected = readout.mean_activity[neuron] * (tuned * gain + BASELINE_SHARE)
        torch.testing.assert_close(found[:, neuron], expected, atol=1e-3, rtol=1e-3)


def test_many_neurons_at_one_point_each_get_their_own_drive():
    readout = make_readout(50)
    readout.position[:] = torch.tensor([4.25, 7.5])
    maps = torch.randn(T + 1, N_FEATURES, *GRID_SHAPE)
    seen = interpolate(maps, 4.25, 7.5)
    joined = torch.cat([seen[1:], seen[:-1]], 1)
    found = NodeProducts(readout, WHOLE_GRID).compute_drive(maps)
    torch.testing.assert_close(found, joined @ readout.weights.T + readout.bias)


def test_a_rate_depends_on_its_frame_and_the_past_alone(encoder):
    movie, behavior = make_movie(MEMORY_FRAMES - 1 + T), torch.zeros(T, 4)
    before = encoder.predict(movie, behavior)
    movie[-2:] += 1.0
    after = encoder.predict(movie, behavior)
    assert torch.equal(after[:-2], before[:-2])
    assert (after[-2:] != before[-2:]).any(1).all()


def test_the_gradient_is_that_of_finite_differences(encoder):
    movie, behavior = make_movie(MEMORY_FRAMES - 1 + T), torch.zeros(T, 4)
    direction = make_movie(len(movie), seed=9)
    direction /= direction.norm()
    leaf = movie.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(encoder.predict(leaf, behavior).sum(), leaf)
    step = 0.05
    ahead = encoder.predict(movie + step * direction, behavior).sum()
    behind = encoder.predict(movie - step * direction, behavior).sum()
    slope = (gradient * direction).sum()
    torch.testing.assert_close(
        slope, (ahead - behind) / (2 * step), rtol=0.02, atol=1e-2
    )


def test_the_influence_of_lags_is_shares_that_sum_to_one(encoder):
    weights = encoder.lag_weights()
    assert weights.shape == (MEMORY_FRAMES, N)
    torch.testing.assert_close(weights.sum(0), torch.ones(N))
    changed = copy.deepcopy(encoder)
    changed.network.temporal_kernels[:] = 0.0
    changed.network.temporal_kernels[:, 3] = 1.0  # of the present frame: lag 3
    changed.readout.weights[:, N_FEATURES:] = 0.0
    assert changed.lag_weights()[3].tolist() == [1.0] * N


def test_an_encoder_is_rebuilt_from_its_tensors(encoder):
    movie, behavior = make_movie(MEMORY_FRAMES - 1 + T), torch.randn(T, 4)
    rebuilt = build_convolutional_encoder(encoder.state_dict(), N)
    assert torch.equal(
        rebuilt.predict(movie, behavior), encoder.predict(movie, behavior)
    )


def test_tensors_of_other_neurons_are_refused(encoder):
    with pytest.raises(ValueError, match="'position' has shape"):
        build_convolutional_encoder(encoder.state_dict(), N + 1)


def test_less_memory_than_a_window_takes_is_an_error(encoder):
    with pytest.raises(UserError, match="too little memory for a window of 40"):
        encoder.reduce_memory()
