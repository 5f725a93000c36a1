"""The feature network: its grid holds whole frames, and a crop gives the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.convolutional.feature_network import (
    FIRST_NODE_PX,
    GRID_SHAPE,
    KERNEL_FRAMES,
    NODE_SPACING_PX,
    WHOLE_GRID,
    build_feature_network,
    load_shared_features,
    to_grid,
)
from rtrecon.encoder.convolutional.readout import find_crop
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.stimulus_space.video import VIDEO
from tests.support.convolutional_world import make_movie, make_network
from tests.support.rounding import float32_tolerance


def test_the_grid_holds_the_values_of_the_frame_at_its_nodes():
    """A cosine of the DCT, which is known between pixels, too."""
    rows, columns = (
        FIRST_NODE_PX + NODE_SPACING_PX * np.arange(length) for length in GRID_SHAPE
    )
    y, x = np.indices((36, 64)) + 0.5
    frame = np.cos(np.pi * 5 * y / 36) * np.cos(np.pi * 9 * x / 64)
    coef = make_dct_basis().vectors @ torch.from_numpy(frame).float().ravel()
    expected = np.outer(
        np.cos(np.pi * 5 * (rows + 0.5) / 36), np.cos(np.pi * 9 * (columns + 0.5) / 64)
    )
    np.testing.assert_allclose(to_grid(coef[None])[0], expected, atol=1e-5)


def test_the_grid_loses_nothing_of_a_movie():
    movie = make_movie(3)
    energy = to_grid(movie).square().sum((1, 2)) * NODE_SPACING_PX**2
    torch.testing.assert_close(energy, movie.square().sum(1))
    assert VIDEO.cutoff_cycles <= 1 / (2 * NODE_SPACING_PX)


def test_a_crop_gives_the_features_of_the_whole_grid():
    network, movie = make_network(), make_movie(KERNEL_FRAMES + 2)
    crop = find_crop(torch.tensor([[8.2, 15.1], [9.7, 16.9]]))
    assert crop.shape[1] < GRID_SHAPE[1]
    whole = network.compute_maps(to_grid(movie, WHOLE_GRID))[:, :, 8:11, 15:18]
    top, left = 8 - crop.top, 15 - crop.left
    part = network.compute_maps(to_grid(movie, crop))
    part = part[:, :, top : top + 3, left : left + 3]
    tolerance = float32_tolerance(1000)
    torch.testing.assert_close(part, whole, atol=tolerance, rtol=tolerance)


def test_features_depend_on_the_frames_of_the_kernels_only():
    network, movie = make_network(), make_movie(2 * KERNEL_FRAMES)
    grids = to_grid(movie)
    before = network.compute_maps(grids)
    grids[4] += 1.0
    differ = (network.compute_maps(grids) != before).any(3).any(2).any(1)
    assert differ.nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_the_same_network_is_built_from_its_weights():
    network = make_network()
    built = build_feature_network(network.state_dict())
    grids = to_grid(make_movie(KERNEL_FRAMES))
    assert torch.equal(built.compute_maps(grids), network.compute_maps(grids))


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("first.weight", ()),
        ("temporal_kernels", (0, 11)),
        ("third.weight", (5000, 8, 1, 1)),
        ("second.bias", (7,)),
    ],
)
def test_weights_of_another_shape_are_refused(key, shape):
    weights = dict(make_network().state_dict())
    weights[key] = torch.zeros(shape)
    with pytest.raises((ValueError, RuntimeError), match=key.split(".")[0]):
        build_feature_network(weights)


def test_the_shipped_network_can_be_read_and_its_basis_is_ordered():
    shared = load_shared_features()
    size = shared.weight_basis.square().sum(0)
    assert shared.weight_basis.shape[0] == 2 * shared.network.n_features
    assert (size.diff() <= 0).all()
    maps = shared.network.compute_maps(to_grid(torch.zeros(KERNEL_FRAMES, 474)))
    assert maps.isfinite().all()
