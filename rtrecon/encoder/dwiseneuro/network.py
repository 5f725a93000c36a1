"""DwiseNeuro: the network that won Sensorium 2023, for inference.

Written from its description: a core of inverted residual blocks with depth-wise
convolutions in space, then in time; a cortex of grouped, shuffled layers; one readout
per mouse. Attributes bear the names in published checkpoints, misspelling included, so
that those load key by key. Drop-out and drop-path, which only training has, are left
out. Tensors are (batch, channels, frames, height, width).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar, cast

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fusion

Count = Annotated[int, msgspec.Meta(ge=1)]  # held to where a file tells it
_Conv = TypeVar("_Conv", nn.Conv1d, nn.Conv3d)


@dataclass(frozen=True)
class Architecture:
    """Sizes of a network; the defaults are those of the published ones.

    Distilled models have expansion_ratio 6. core_features: what goes into each block;
    the last block keeps its own.
    """

    in_channels: Count = 5
    core_features: tuple[Count, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256)
    spatial_strides: tuple[Count, ...] = (2, 1, 1, 1, 2, 1, 1, 2, 1)
    spatial_kernel: Count = 3
    temporal_kernel: Count = 5
    expansion_ratio: Count = 7
    se_reduce_ratio: Count = 32
    cortex_features: tuple[Count, ...] = (1024, 2048, 4096)
    groups: Count = 2
    softplus_beta: Annotated[float, msgspec.Meta(gt=0)] = 0.07


class DwiseNeuro(nn.Module):
    """Activity of neurons (batch, n, frames) from video and behaviour, per mouse.

    n_neurons: number of neurons by mouse, for the readouts that are wanted.
    """

    def __init__(self, sizes: Architecture, n_neurons: Mapping[int, int]) -> None:
        super().__init__()
        self.core = _Core(sizes)
        self.cortex = _Cortex(sizes)
        self.readouts = nn.ModuleDict(
            {str(mouse): _Readout(n, sizes) for mouse, n in n_neurons.items()}
        )
        self.eval()

    def forward(self, video: Tensor, behavior: Tensor, mouse: int) -> Tensor:
        """Return (batch, n, frames), one prediction for every frame of the window.

        video: (batch, 1, frames, height, width). behavior: (batch, channels, frames,
        height, width), or height and width 1: the same value in all pixels.
        """
        readout = self.readouts[str(mouse)]
        return cast(Tensor, readout(self.cortex(self.core(video, behavior))))


class _Core(nn.Module):
    """What was seen, at (batch, features, frames)."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        features = sizes.core_features
        pointwise = nn.Conv3d(sizes.in_channels, features[0], 1, bias=False)
        self.stem = _ConvNorm(pointwise, active=False)
        outputs = (*features[1:], features[-1])
        self.blocks = nn.Sequential()
        for n_in, n_out, stride in zip(
            features, outputs, sizes.spatial_strides, strict=True
        ):
            self.blocks.append(_PositionalEncoding(n_in))
            self.blocks.append(_InvertedResidual(n_in, n_out, stride, sizes))

    def forward(self, video: Tensor, behavior: Tensor) -> Tensor:
        conv, norm = cast(tuple[nn.Conv3d, _Norm], tuple(self.stem))
        shown = functional.conv3d(video, conv.weight[:, :1], conv.bias)
        told = functional.conv3d(behavior, conv.weight[:, 1:])  # one pixel may do
        return self.blocks(norm(shown + told)).mean((3, 4))


class _PositionalEncoding(nn.Module):
    """Adds where and when: sines, then cosines, of time, of height and of width."""

    inv_freq: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_axis = 2 * -(-n_channels // 6)  # a third of them, rounded up to be even
        frequencies = [1e4 ** (-k / n_axis) for k in range(0, n_axis, 2)]
        self.register_buffer("inv_freq", torch.tensor(frequencies))
        self._n_channels = n_channels
        self._table: Tensor | None = None  # of the last shape that was asked for

    def forward(self, x: Tensor) -> Tensor:
        table = self._table
        if table is None or table.shape[1:] != x.shape[2:] or table.device != x.device:
            table = self._table = self._encode(x.shape[2:])
        return x + table.to(x.dtype)

    def _encode(self, shape: torch.Size) -> Tensor:
        axes = []
        for axis, size in enumerate(shape):
            at = torch.arange(size, device=self.inv_freq.device)
            angle = self.inv_freq[:, None] * at
            waves = torch.cat([angle.sin(), angle.cos()])
            along = [len(waves), *(size if i == axis else 1 for i in range(3))]
            axes.append(waves.view(along).expand(-1, *shape))
        return torch.cat(axes)[: self._n_channels]


class _InvertedResidual(nn.Module):
    """Expand, filter each channel in space and in time, gate, project; add the input.

    The input is thinned to every `stride`-th pixel, its channels are repeated as often
    as needed. Sizes have to be divisible by the stride.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, sizes: Architecture) -> None:
        super().__init__()
        n_mid = n_in * sizes.expansion_ratio
        self.conv_pw = _ConvNorm(nn.Conv3d(n_in, n_mid, 1, bias=False))
        self.spat_covn_dw = _ConvNorm(_SpatialConv(n_mid, sizes.spatial_kernel, stride))
        self.temp_covn_dw = _ConvNorm(_TemporalConv(n_mid, sizes.temporal_kernel))
        self.se = _SqueezeExcite(n_mid, n_mid // sizes.se_reduce_ratio)
        self.conv_pwl = _ConvNorm(nn.Conv3d(n_mid, n_out, 1, bias=False), active=False)
        self.bn_sc = _Norm(nn.BatchNorm3d(n_out), active=False)
        self._n_out, self._stride = n_out, stride

    def forward(self, x: Tensor) -> Tensor:
        filtered = self.temp_covn_dw(self.spat_covn_dw(self.conv_pw(x)))
        thinned = x[..., :: self._stride, :: self._stride]
        shortcut = self.bn_sc(_tiled(thinned, self._n_out))
        return cast(Tensor, self.conv_pwl(self.se(filtered)) + shortcut)


class _SqueezeExcite(nn.Module):
    """Gates channels by what the whole window holds: no prediction is causal."""

    def __init__(self, n_channels: int, n_hidden: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv3d(n_channels, n_hidden, 1)
        self.conv_expand = nn.Conv3d(n_hidden, n_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3, 4), keepdim=True)
        gate = self.conv_expand(functional.silu(self.conv_reduce(mean)))
        return x * gate.sigmoid()


class _Cortex(nn.Module):
    """Ever more features of every frame, without looking at other frames."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        inputs = (sizes.core_features[-1], *sizes.cortex_features)
        self.layers = nn.Sequential(
            *(
                _ShuffleLayer(n_in, n_out, sizes.groups)
                for n_in, n_out in zip(inputs, sizes.cortex_features, strict=False)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.layers(x))


class _ShuffleLayer(nn.Module):
    """Groups are mixed apart, their channels then dealt out; the input is added."""

    def __init__(self, n_in: int, n_out: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, 1, groups=groups, bias=False)
        self.bn = _Norm(nn.BatchNorm1d(n_out))
        self.bn_sc = _Norm(nn.BatchNorm1d(n_out), active=False)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.bn(self.conv(x)).unflatten(1, (self.conv.groups, -1))
        shuffled = mixed.transpose(1, 2).flatten(1, 2)
        return cast(Tensor, shuffled + self.bn_sc(_tiled(x, self.conv.out_channels)))


class _Readout(nn.Module):
    """Expected activity of one mouse's neurons."""

    def __init__(self, n_neurons: int, sizes: Architecture) -> None:
        super().__init__()
        groups, n_in = sizes.groups, sizes.cortex_features[-1]
        n_out = -(-n_neurons // groups) * groups  # a group cannot lack a neuron
        dropout = nn.Identity()  # has place 0 in training
        self.layer = nn.Sequential(dropout, nn.Conv1d(n_in, n_out, 1, groups=groups))
        self._n_neurons, self._beta = n_neurons, sizes.softplus_beta

    def forward(self, x: Tensor) -> Tensor:
        return functional.softplus(self.layer(x)[:, : self._n_neurons], self._beta)


class _Norm(nn.Module):
    """Batch norm under the name `bn`, then SiLU where it is active."""

    def __init__(
        self, bn: nn.BatchNorm1d | nn.BatchNorm3d, *, active: bool = True
    ) -> None:
        super().__init__()
        self.bn: nn.Module = bn
        self._active = active

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(x)
        return functional.silu(x) if self._active else x

    def folded_into(self, conv: _Conv) -> _Conv:
        bn, self.bn = cast(nn.BatchNorm3d, self.bn), nn.Identity()
        return fusion.fuse_conv_bn_eval(conv, bn)


class _ConvNorm(nn.Sequential):
    """A convolution and its norm."""

    def __init__(self, conv: nn.Conv3d, *, active: bool = True) -> None:
        super().__init__(conv, _Norm(nn.BatchNorm3d(conv.out_channels), active=active))


class _SpatialConv(nn.Conv3d):
    """Depth-wise in space. In two dimensions, frames as channels: 3 x faster on CPU."""

    def __init__(self, n_channels: int, kernel: int, stride: int) -> None:
        size, strides, pad = (1, kernel, kernel), (1, stride, stride), kernel // 2
        super().__init__(
            n_channels, n_channels, size, strides, (0, pad, pad),
            groups=n_channels, bias=False,
        )  # fmt: skip
        self._pad = pad

    def forward(self, x: Tensor) -> Tensor:
        n_frames = x.shape[2]
        weight = self.weight[:, :, 0].repeat_interleave(n_frames, 0)
        bias = None if self.bias is None else self.bias.repeat_interleave(n_frames)
        filtered = functional.conv2d(
            x.flatten(1, 2), weight, bias, self.stride[1:], self._pad, 1, len(weight)
        )
        return filtered.unflatten(1, (-1, n_frames))


class _TemporalConv(nn.Conv3d):
    """Depth-wise in time. In two dimensions, pixels in a row: 3 x faster on CPU."""

    def __init__(self, n_channels: int, kernel: int) -> None:
        size, pad = (kernel, 1, 1), (kernel // 2, 0, 0)
        super().__init__(
            n_channels, n_channels, size, 1, pad, groups=n_channels, bias=False
        )
        self._pad = kernel // 2, 0

    def forward(self, x: Tensor) -> Tensor:
        filtered = functional.conv2d(
            x.flatten(3), self.weight[..., 0], self.bias, 1, self._pad, 1, self.groups
        )
        return filtered.unflatten(3, x.shape[3:])


def _tiled(x: Tensor, n_channels: int) -> Tensor:
    """Return x with its channels repeated in turn until there are n_channels."""
    times = -(-n_channels // x.shape[1])
    return torch.cat([x] * times, 1)[:, :n_channels] if times > 1 else x[:, :n_channels]


def fold(network: DwiseNeuro) -> DwiseNeuro:
    """Fold every batch norm into the convolution before it, in place; return it.

    Answers stay the same up to rounding; published keys no longer load.
    """
    for module in network.modules():
        if isinstance(module, _ConvNorm):
            conv, norm = cast(tuple[nn.Conv3d, _Norm], tuple(module))
            module[0] = norm.folded_into(conv)
        elif isinstance(module, _ShuffleLayer):
            module.conv = module.bn.folded_into(module.conv)
    return network
