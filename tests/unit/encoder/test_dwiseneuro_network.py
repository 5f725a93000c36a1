"""The network that published weights are for: names, shapes, and what it answers."""

from __future__ import annotations

import csv

import pytest
import torch
from torch import nn
from torch.nn import functional

from rtrecon.encoder.dwiseneuro.mouse_names import SENSORIUM
from rtrecon.encoder.dwiseneuro.network import Architecture, DwiseNeuro, fold
from tests.support import dwiseneuro_world
from tests.support.paths import TEST_DATA

KEYS = TEST_DATA.parent / "facts" / "dwiseneuro_keys.tsv"

# expansion ratio -> parameters of core, cortex and all readouts, as published
PARAMETERS = {
    7: (3_673_404, 5_402_624, 161_580_042),
    6: (3_075_736, 5_402_624, 161_580_042),
}

# what `published_world` answers to `window()`: each mouse's neurons in frames 0, 7, 15
ANSWERS = {
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


def published(expansion_ratio: int = 7) -> DwiseNeuro:
    """The network of the publication, of shapes only: its weights would be 683 MB."""
    with torch.device("meta"):
        return DwiseNeuro(
            Architecture(expansion_ratio=expansion_ratio),
            {mouse.index: mouse.n_neurons for mouse in SENSORIUM},
        )


def window(n: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Video (n, 1, 16, 64, 64) and behaviour (n, 4, 16, 1, 1), by formula."""
    place = torch.arange(n * 16 * 64 * 64, dtype=torch.float64)
    video = 127.5 + 100 * torch.sin(0.011 * place + 0.3 * torch.sin(0.0007 * place))
    told = torch.arange(n * 4 * 16).mul(0.5).sin().mul(20).add(40)
    return video.float().view(n, 1, 16, 64, 64), told.view(n, 4, 16, 1, 1)


def test_every_published_tensor_has_its_name_place_and_shape():
    if not KEYS.is_file():
        pytest.skip(f"no list of the published tensors at {KEYS}")
    with KEYS.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    made = published()
    trained = dict(made.named_parameters())
    found = [
        {
            "key": key,
            "shape": str(tuple(value.shape)),
            "dtype": str(value.dtype).removeprefix("torch."),
            "kind": "param" if key in trained else "buffer",
        }
        for key, value in made.state_dict().items()
    ]
    assert found == [{key: row[key] for key in found[0]} for row in rows]


@pytest.mark.parametrize("expansion_ratio", PARAMETERS)
def test_it_has_as_many_parameters_as_published(expansion_ratio: int):
    made = published(expansion_ratio)
    parts = made.core, made.cortex, made.readouts
    counted = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert tuple(counted) == PARAMETERS[expansion_ratio]


def test_the_published_one_has_170_656_070_parameters():
    assert sum(p.numel() for p in published().parameters()) == 170_656_070


@pytest.mark.parametrize("mouse", ANSWERS)
def test_it_answers_what_is_known(mouse: int):
    answer = dwiseneuro_world.network()(*window(), mouse)[0]
    assert answer.shape == (dwiseneuro_world.N_NEURONS[mouse], 16)
    known = torch.tensor(ANSWERS[mouse])
    torch.testing.assert_close(answer[:, [0, 7, 15]], known, atol=1e-4, rtol=1e-4)


def test_no_prediction_of_a_window_is_causal():
    made = dwiseneuro_world.network()
    video, behavior = window()
    before = made(video, behavior, 0)
    video[:, :, -1] = 255 - video[:, :, -1]
    assert ((made(video, behavior, 0) - before).abs().amax((0, 1)) > 1e-3).all()


def test_windows_of_a_batch_do_not_know_each_other():
    made = dwiseneuro_world.network()
    video, behavior = window(3)
    together = made(video, behavior, 1)
    apart = [made(video[i : i + 1], behavior[i : i + 1], 1) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(apart))


def test_behavior_is_told_to_every_pixel_alike():
    made = dwiseneuro_world.network()
    video, behavior = window()
    planes = behavior.expand(-1, -1, -1, 64, 64)
    torch.testing.assert_close(made(video, behavior, 0), made(video, planes, 0))


def test_folding_batch_norms_leaves_the_answers():
    made = dwiseneuro_world.network()
    before = made(*window(), 2)
    after = fold(made)(*window(), 2)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_a_folded_norm_costs_nothing():
    left = [
        name
        for name, module in fold(dwiseneuro_world.network()).named_modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm3d) and "bn_sc" not in name
    ]
    assert left == []


# depth-wise convolution -> frames, height, width of what is left of (16, 12, 20)
DEPTH_WISE = {"spat_covn_dw": (16, 3, 5), "temp_covn_dw": (16, 12, 20)}


@pytest.mark.parametrize("name", DEPTH_WISE)
def test_depth_wise_convolutions_are_three_dimensional_ones(name: str):
    conv = getattr(dwiseneuro_world.network().core.blocks[1], name)[0]
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, conv.in_channels, 16, 12, 20, generator=rng)
    expected = functional.conv3d(
        x, conv.weight, None, conv.stride, conv.padding, 1, conv.groups
    )
    assert tuple(expected.shape[2:]) == DEPTH_WISE[name]
    torch.testing.assert_close(conv(x), expected)


def test_where_and_when_are_told_in_sines_then_cosines():
    """Of 6 channels two are of time, two of height and two of width."""
    encoding = dwiseneuro_world.network().core.blocks[0]
    told = encoding(torch.zeros(1, 6, 16, 32, 64))[0, :, 5, 7, 11]
    at = torch.tensor([5.0, 7.0, 11.0])
    expected = torch.stack([at.sin(), at.cos()], 1).flatten()
    torch.testing.assert_close(told, expected)


def test_slower_sines_follow_in_more_channels():
    """64 channels: eleven frequencies, the last 10000^(-20/22) of the first."""
    encoding = DwiseNeuro(Architecture(), {}).core.blocks[0]
    told = encoding(torch.zeros(1, 64, 16, 8, 8))[0, :, 9, 0, 0]
    slowest = torch.tensor(9 * 1e4 ** (-20 / 22))
    torch.testing.assert_close(told[10], slowest.sin())
    torch.testing.assert_close(told[21], slowest.cos())
    assert (told[44:54] == 0).all(), "width 0: no sine"
    assert (told[55:] == 1).all(), "width 0: cosines, of which two find no channel"
