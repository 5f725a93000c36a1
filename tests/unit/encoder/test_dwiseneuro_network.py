"""The DwiseNeuro network has the published tensors and the known predictions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

from rtrecon.encoder.dwiseneuro.mouse_names import SENSORIUM_MICE
from rtrecon.encoder.dwiseneuro.network import (
    Architecture,
    DwiseNeuro,
    fold_batch_norms,
)
from tests.support import dwiseneuro_world
from tests.support.dwiseneuro_world import FLOAT32_TOLERANCE

# expansion ratio -> parameters of core, cortex and all readouts, as published
PARAMETERS = {
    7: (3_673_404, 5_402_624, 161_580_042),
    6: (3_075_736, 5_402_624, 161_580_042),
}

# what `make_network` predicts for `make_window()`: neurons of a mouse, frames 0, 7, 15
KNOWN = {
    0: [
        [109.3061, 233.1728, 264.5333],
        [67.7470, 141.9196, 237.2067],
        [0.0083, 0.0000, 0.0000],
        [43.2315, 102.0920, 7.0641],
        [91.4699, 200.9118, 186.2714],
    ],
    1: [
        [18.5583, 29.6539, 100.7829],
        [0.0021, 0.0000, 0.0000],
        [77.7667, 178.4007, 75.3830],
        [64.8810, 138.3987, 172.2276],
    ],
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def make_published(expansion_ratio: int = 7) -> DwiseNeuro:
    """The published network without data: its weights would be 683 MB."""
    with torch.device("meta"):
        return DwiseNeuro(
            Architecture(expansion_ratio=expansion_ratio),
            {mouse.index: mouse.n_neurons for mouse in SENSORIUM_MICE},
        )


def make_window(n: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Video (n, 1, 16, 64, 64) and behavior (n, 4, 16, 1, 1), by formula."""
    index = torch.arange(n * 16 * 64 * 64, dtype=torch.float64)
    video = 127.5 + 100 * torch.sin(0.011 * index + 0.3 * torch.sin(0.0007 * index))
    behavior = torch.arange(n * 4 * 16).mul(0.5).sin().mul(20).add(40)
    return video.float().view(n, 1, 16, 64, 64), behavior.view(n, 4, 16, 1, 1)


TensorInfo = tuple[str, tuple[int, ...], str]  # key, shape, parameter or buffer


def list_norm(key: str, n: int) -> Iterator[TensorInfo]:
    """The tensors of a batch norm."""
    for name in ("weight", "bias"):
        yield f"{key}.bn.{name}", (n,), "parameter"
    for name in ("running_mean", "running_var"):
        yield f"{key}.bn.{name}", (n,), "buffer"
    yield f"{key}.bn.num_batches_tracked", (), "buffer"


def list_conv(key: str, *shape: int) -> Iterator[TensorInfo]:
    """The tensors of a convolution without bias and of its batch norm."""
    yield f"{key}.0.weight", shape, "parameter"
    yield from list_norm(f"{key}.1", shape[0])


def list_gate(key: str, *shape: int) -> Iterator[TensorInfo]:
    """The tensors of a convolution with bias."""
    yield f"{key}.weight", shape, "parameter"
    yield f"{key}.bias", (shape[0],), "parameter"


def list_block(key: str, n_in: int, n_out: int) -> Iterator[TensorInfo]:
    """An inverted residual block: 7 times as many channels inside, a gate of 1/32."""
    n_mid = 7 * n_in
    yield from list_conv(f"{key}.conv_pw", n_mid, n_in, 1, 1, 1)
    yield from list_conv(f"{key}.spat_covn_dw", n_mid, 1, 1, 3, 3)
    yield from list_conv(f"{key}.temp_covn_dw", n_mid, 1, 5, 1, 1)
    yield from list_gate(f"{key}.se.conv_reduce", n_mid // 32, n_mid, 1, 1, 1)
    yield from list_gate(f"{key}.se.conv_expand", n_mid, n_mid // 32, 1, 1, 1)
    yield from list_conv(f"{key}.conv_pwl", n_out, n_mid, 1, 1, 1)
    yield from list_norm(f"{key}.bn_sc", n_out)


def list_published_tensors() -> Iterator[TensorInfo]:
    """Every tensor of the published network, by the rules of its architecture."""
    features = (64, 64, 64, 64, 128, 128, 128, 256, 256)
    yield from list_conv("core.stem", 64, 5, 1, 1, 1)
    for i, (n_in, n_out) in enumerate(zip(features, (*features[1:], 256), strict=True)):
        # Position: sines and cosines of three axes share the channels, rounded up.
        n_frequencies = -(-n_in // 6)
        yield f"core.blocks.{2 * i}.inv_freq", (n_frequencies,), "buffer"
        yield from list_block(f"core.blocks.{2 * i + 1}", n_in, n_out)
    for i, (n_in, n_out) in enumerate(((256, 1024), (1024, 2048), (2048, 4096))):
        key = f"cortex.layers.{i}"
        yield f"{key}.conv.weight", (n_out, n_in // 2, 1), "parameter"  # two groups
        yield from list_norm(f"{key}.bn", n_out)
        yield from list_norm(f"{key}.bn_sc", n_out)
    for mouse in SENSORIUM_MICE:
        n_even = mouse.n_neurons + mouse.n_neurons % 2  # two groups of equal size
        yield from list_gate(f"readouts.{mouse.index}.layer.1", n_even, 2048, 1)


def test_the_network_has_the_published_tensors_in_their_order():
    network = make_published()
    trained = dict(network.named_parameters())
    found = [
        (key, tuple(value.shape), "parameter" if key in trained else "buffer")
        for key, value in network.state_dict().items()
    ]
    assert found == list(list_published_tensors())
    for key, value in network.state_dict().items():
        expected = torch.int64 if key.endswith("tracked") else torch.float32
        assert value.dtype == expected, key


@pytest.mark.parametrize("expansion_ratio", PARAMETERS)
def test_the_number_of_parameters_is_the_published_one(expansion_ratio: int):
    network = make_published(expansion_ratio)
    parts = network.core, network.cortex, network.readouts
    counted = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert tuple(counted) == PARAMETERS[expansion_ratio]


def test_the_published_network_has_170_656_070_parameters():
    assert sum(p.numel() for p in make_published().parameters()) == 170_656_070


@pytest.mark.parametrize("mouse", KNOWN)
def test_the_predictions_of_a_small_network_are_the_known_ones(mouse: int):
    rates = dwiseneuro_world.make_network()(*make_window(), mouse)[0]
    assert rates.shape == (dwiseneuro_world.N_NEURONS[mouse], 16)
    known = torch.tensor(KNOWN[mouse])
    torch.testing.assert_close(rates[:, [0, 7, 15]], known, **FLOAT32_TOLERANCE)


def test_predictions_depend_on_later_frames_of_the_window():
    network = dwiseneuro_world.make_network()
    video, behavior = make_window()
    before = network(video, behavior, 0)
    video[:, :, -1] = 255 - video[:, :, -1]
    assert ((network(video, behavior, 0) - before).abs().amax((0, 1)) > 1e-3).all()


def test_windows_of_a_batch_are_independent():
    network = dwiseneuro_world.make_network()
    video, behavior = make_window(3)
    together = network(video, behavior, 1)
    apart = [network(video[i : i + 1], behavior[i : i + 1], 1) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(apart), **FLOAT32_TOLERANCE)


def test_a_behavior_value_equals_a_plane_of_that_value():
    network = dwiseneuro_world.make_network()
    video, behavior = make_window()
    planes = behavior.expand(-1, -1, -1, 64, 64)
    torch.testing.assert_close(
        network(video, behavior, 0), network(video, planes, 0), **FLOAT32_TOLERANCE
    )


def test_folding_batch_norms_does_not_change_predictions():
    network = dwiseneuro_world.make_network()
    before = network(*make_window(), 2)
    after = fold_batch_norms(network)(*make_window(), 2)
    torch.testing.assert_close(after, before, **FLOAT32_TOLERANCE)


def test_folding_removes_the_batch_norms():
    left = [
        name
        for name, module in fold_batch_norms(
            dwiseneuro_world.make_network()
        ).named_modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm3d) and "bn_sc" not in name
    ]
    assert left == []


# depth-wise convolution -> frames, height, width that it makes of (16, 12, 20)
DEPTH_WISE = {"spat_covn_dw": (16, 3, 5), "temp_covn_dw": (16, 12, 20)}


@pytest.mark.parametrize("name", DEPTH_WISE)
def test_depth_wise_convolutions_equal_conv3d(name: str):
    conv = getattr(dwiseneuro_world.make_network().core.blocks[1], name)[0]
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, conv.in_channels, 16, 12, 20, generator=rng)
    expected = functional.conv3d(
        x, conv.weight, None, conv.stride, conv.padding, 1, conv.groups
    )
    assert tuple(expected.shape[2:]) == DEPTH_WISE[name]
    # At most 9 products per sum, each rounded to 2^-24 of values around 1.
    torch.testing.assert_close(conv(x), expected, rtol=1e-5, atol=1e-5)


def test_positions_are_encoded_as_sines_then_cosines():
    """Of 6 channels two encode time, two height and two width."""
    encoding = dwiseneuro_world.make_network().core.blocks[0]
    encoded = encoding(torch.zeros(1, 6, 16, 32, 64))[0, :, 5, 7, 11]
    at = torch.tensor([5.0, 7.0, 11.0])
    expected = torch.stack([at.sin(), at.cos()], 1).flatten()
    # Sines of float32 angles up to 11: an angle is rounded to 1e-6.
    torch.testing.assert_close(encoded, expected, rtol=1e-5, atol=1e-5)


def test_more_channels_encode_slower_sines():
    """64 channels: eleven frequencies, the last 10000^(-20/22) of the first."""
    encoding = DwiseNeuro(Architecture(), {}).core.blocks[0]
    encoded = encoding(torch.zeros(1, 64, 16, 8, 8))[0, :, 9, 0, 0]
    slowest = torch.tensor(9 * 1e4 ** (-20 / 22))
    torch.testing.assert_close(encoded[10], slowest.sin(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(encoded[21], slowest.cos(), rtol=1e-5, atol=1e-5)
    assert (encoded[44:54] == 0).all(), "width 0: no sine"
    assert (encoded[55:] == 1).all(), "width 0: cosines, two of which have no channel"
