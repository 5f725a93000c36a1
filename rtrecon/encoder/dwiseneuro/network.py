"""DwiseNeuro: the network that won Sensorium 2023, for inference.

Written from its description (Baikulov 2023): a core of inverted residual blocks with
depth-wise convolutions in space, then in time; a cortex of grouped, shuffled layers;
one readout per mouse. Attributes have the names in published checkpoints, misspelling
included, so that those load key by key. Drop-out and drop-path, used in training only,
are left out. Tensors are (batch, channels, frames, height, width).
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

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]  # checked when read from a file
_Conv = TypeVar("_Conv", nn.Conv1d, nn.Conv3d)


@dataclass(frozen=True)
class Architecture:
    """Sizes of a network; the defaults are those of the published ones.

    Distilled models have expansion_ratio 6. core_features: number of input channels of
    each block; the last block has as many outputs as inputs.
    """

    in_channels: PositiveInt = 5
    core_features: tuple[PositiveInt, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256)
    spatial_strides: tuple[PositiveInt, ...] = (2, 1, 1, 1, 2, 1, 1, 2, 1)
    spatial_kernel: PositiveInt = 3
    temporal_kernel: PositiveInt = 5
    expansion_ratio: PositiveInt = 7
    se_reduce_ratio: PositiveInt = 32
    cortex_features: tuple[PositiveInt, ...] = (1024, 2048, 4096)
    groups: PositiveInt = 2
    softplus_beta: Annotated[float, msgspec.Meta(gt=0)] = 0.07


class DwiseNeuro(nn.Module):
    """Activity of neurons (batch, n, frames) from video and behavior, per mouse.

    n_neurons: number of neurons by index of the mouse, one readout for each.
    """

    def __init__(
        self, architecture: Architecture, n_neurons: Mapping[int, int]
    ) -> None:
        super().__init__()
        self.core = _Core(architecture)
        self.cortex = _Cortex(architecture)
        self.readouts = nn.ModuleDict(
            {str(mouse): _Readout(n, architecture) for mouse, n in n_neurons.items()}
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
    """Visual features (batch, features, frames) from video and behavior."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        features = architecture.core_features
        pointwise = nn.Conv3d(architecture.in_channels, features[0], 1, bias=False)
        self.stem = _ConvNorm(pointwise, active=False)
        outputs = (*features[1:], features[-1])
        self.blocks = nn.Sequential()
        for n_in, n_out, stride in zip(
            features, outputs, architecture.spatial_strides, strict=True
        ):
            self.blocks.append(_PositionalEncoding(n_in))
            self.blocks.append(_InvertedResidual(n_in, n_out, stride, architecture))

    def forward(self, video: Tensor, behavior: Tensor) -> Tensor:
        conv, norm = cast(tuple[nn.Conv3d, _Norm], tuple(self.stem))
        from_video = functional.conv3d(video, conv.weight[:, :1], conv.bias)
        from_behavior = functional.conv3d(
            behavior, conv.weight[:, 1:]
        )  # one pixel may do
        return self.blocks(norm(from_video + from_behavior)).mean((3, 4))


class _PositionalEncoding(nn.Module):
    """Adds position: sines, then cosines, of time, of height and of width."""

    inv_freq: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_axis = 2 * -(-n_channels // 6)  # a third of them, rounded up to be even
        frequencies = [1e4 ** (-k / n_axis) for k in range(0, n_axis, 2)]
        self.register_buffer("inv_freq", torch.tensor(frequencies))
        self._n_channels = n_channels
        self._table: Tensor | None = None  # for the shape of the last call

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

    The added input is subsampled to every `stride`-th pixel and its channels are
    repeated as often as needed. Sizes have to be divisible by the stride.
    """

    def __init__(
        self, n_in: int, n_out: int, stride: int, architecture: Architecture
    ) -> None:
        super().__init__()
        n_mid = n_in * architecture.expansion_ratio
        self.conv_pw = _ConvNorm(nn.Conv3d(n_in, n_mid, 1, bias=False))
        self.spat_covn_dw = _ConvNorm(
            _SpatialConv(n_mid, architecture.spatial_kernel, stride)
        )
        self.temp_covn_dw = _ConvNorm(
            _TemporalConv(n_mid, architecture.temporal_kernel)
        )
        self.se = _SqueezeExcite(n_mid, n_mid // architecture.se_reduce_ratio)
        self.conv_pwl = _ConvNorm(nn.Conv3d(n_mid, n_out, 1, bias=False), active=False)
        self.bn_sc = _Norm(nn.BatchNorm3d(n_out), active=False)
        self._n_out, self._stride = n_out, stride

    def forward(self, x: Tensor) -> Tensor:
        filtered = self.temp_covn_dw(self.spat_covn_dw(self.conv_pw(x)))
        subsampled = x[..., :: self._stride, :: self._stride]
        shortcut = self.bn_sc(_repeat_channels(subsampled, self._n_out))
        return cast(Tensor, self.conv_pwl(self.se(filtered)) + shortcut)


class _SqueezeExcite(nn.Module):
    """Gates channels by their mean over the whole window: no prediction is causal."""

    def __init__(self, n_channels: int, n_hidden: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv3d(n_channels, n_hidden, 1)
        self.conv_expand = nn.Conv3d(n_hidden, n_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3, 4), keepdim=True)
        gate = self.conv_expand(functional.silu(self.conv_reduce(mean)))
        return x * gate.sigmoid()


class _Cortex(nn.Module):
    """Layers with more and more features, frame by frame."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        inputs = (architecture.core_features[-1], *architecture.cortex_features)
        self.layers = nn.Sequential(
            *(
                _ShuffleLayer(n_in, n_out, architecture.groups)
                for n_in, n_out in zip(
                    inputs, architecture.cortex_features, strict=False
                )
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.layers(x))


class _ShuffleLayer(nn.Module):
    """Mix channels within groups, shuffle them between groups, add the input."""

    def __init__(self, n_in: int, n_out: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, 1, groups=groups, bias=False)
        self.bn = _Norm(nn.BatchNorm1d(n_out))
        self.bn_sc = _Norm(nn.BatchNorm1d(n_out), active=False)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.bn(self.conv(x)).unflatten(1, (self.conv.groups, -1))
        shuffled = mixed.transpose(1, 2).flatten(1, 2)
        return cast(
            Tensor, shuffled + self.bn_sc(_repeat_channels(x, self.conv.out_channels))
        )


class _Readout(nn.Module):
    """Expected activity of one mouse's neurons."""

    def __init__(self, n_neurons: int, architecture: Architecture) -> None:
        super().__init__()
        groups, n_in = architecture.groups, architecture.cortex_features[-1]
        n_out = -(-n_neurons // groups) * groups  # groups have to be of equal size
        dropout = nn.Identity()  # stands for the drop-out at index 0 in training
        self.layer = nn.Sequential(dropout, nn.Conv1d(n_in, n_out, 1, groups=groups))
        self._n_neurons, self._beta = n_neurons, architecture.softplus_beta

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

    def fold_into(self, conv: _Conv) -> _Conv:
        bn, self.bn = cast(nn.BatchNorm3d, self.bn), nn.Identity()
        return fusion.fuse_conv_bn_eval(conv, bn)


class _ConvNorm(nn.Sequential):
    """A convolution and its norm."""

    def __init__(self, conv: nn.Conv3d, *, active: bool = True) -> None:
        super().__init__(conv, _Norm(nn.BatchNorm3d(conv.out_channels), active=active))


class _SpatialConv(nn.Conv3d):
    """Depth-wise in space, as conv2d with frames as channels: 3 x faster on a CPU."""

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
    """Depth-wise in time, as conv2d with pixels in a row: 3 x faster on a CPU."""

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


def _repeat_channels(x: Tensor, n_channels: int) -> Tensor:
    """Return x with its channels repeated in turn until there are n_channels."""
    times = -(-n_channels // x.shape[1])
    return torch.cat([x] * times, 1)[:, :n_channels] if times > 1 else x[:, :n_channels]


def fold_batch_norms(network: DwiseNeuro) -> DwiseNeuro:
    """Fold every batch norm into the convolution before it, in place; return it.

    Predictions stay the same up to rounding; published keys no longer load.
    """
    for module in network.modules():
        if isinstance(module, _ConvNorm):
            conv, norm = cast(tuple[nn.Conv3d, _Norm], tuple(module))
            module[0] = norm.fold_into(conv)
        elif isinstance(module, _ShuffleLayer):
            module.conv = module.bn.fold_into(module.conv)
    return network
