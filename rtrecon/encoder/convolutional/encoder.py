"""The convolutional encoder: a readout of the features that all mice share.

Twenty minutes of a new mouse teach its neurons' readouts only: where each looks, and
which features drive it. What the features are was learnt before, from many mice.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.convolutional.feature_network import (
    KERNEL_FRAMES,
    N_DELAYS,
    FeatureNetwork,
    build_feature_network,
    to_grid,
)
from rtrecon.encoder.convolutional.readout import NodeProducts, Readout, find_crop
from rtrecon.encoder.tensor_files import select_by_prefix
from rtrecon.protocol.behavior import BEHAVIOR

BASELINE_SHARE = 0.02  # of the mean activity; keeps the logarithm of rates finite
_MIN_RATE = 1e-5
_READOUT_KEYS = ("position", "weights", "bias", "mean_activity", "behavior_gain")


class ConvolutionalEncoder:
    """A `LiveEncoder`: expected activity of n neurons from a movie.

    Activity is mean_activity * (elu(drive) + 1) * exp(behavior . behavior_gain) and a
    small baseline: exponential in the drive below the mean, linear above. Only the part
    of the screen that the neurons see is computed; where the processor has bfloat16,
    in bfloat16.
    """

    past_frames = MEMORY_FRAMES - 1

    def __init__(self, network: FeatureNetwork, readout: Readout) -> None:
        self.network, self.readout = network, readout
        self._crop = find_crop(readout.position.cpu())
        self._prepare()

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.readout)

    @property
    def device(self) -> torch.device:
        """The device that its weights are on."""
        return self.readout.bias.device

    def predict(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) from frames (past_frames + T, C); see `LiveEncoder`."""
        maps = self._fast_network.compute_maps(to_grid(frames, self._crop))
        drive = self._products.compute_drive(maps)
        tuned = functional.elu(drive) + 1
        gain = self.compute_gain(behavior[-len(drive) :])
        return self.readout.mean_activity * (tuned * gain + BASELINE_SHARE) + _MIN_RATE

    def compute_gain(self, behavior: Tensor) -> Tensor:
        """Return the factor (T, n) of standardized behavior (T, 4)."""
        return (behavior @ self.readout.behavior_gain).exp()

    def lag_weights(self) -> Tensor:
        """Return (MEMORY_FRAMES, n), equal for all neurons; see `LiveEncoder`."""
        taps = torch.einsum(
            "ckyx,kd->cyxd", self.network.first.weight, self.network.temporal_kernels
        )
        of_frame = taps.square().sum((0, 1, 2))
        strength = self.readout.weights.unflatten(1, (N_DELAYS, -1)).square()
        energy = torch.zeros(MEMORY_FRAMES, device=self.device)
        for delay, share in enumerate(strength.sum((0, 2))):
            energy[delay : delay + KERNEL_FRAMES] += share * of_frame
        return (energy / energy.sum())[:, None].expand(-1, self.n_neurons)

    def reduce_memory(self) -> str:
        """Refuse: this encoder is too small to be computed in parts."""
        raise UserError(
            f"{self.device} has too little memory for a window of {self.n_neurons} "
            "neurons; end what else uses it, or set inversion.device = 'cpu'"
        )

    def to(self, device: torch.device, /) -> ConvolutionalEncoder:
        """Move it to a device and return it."""
        if torch.empty(0, device=device).device != self.device:
            self.network.to(device)
            self.readout = self.readout.to(device)
            self._prepare()
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors for a checkpoint, those of the network included."""
        network = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        readout = {key: getattr(self.readout, key) for key in _READOUT_KEYS}
        return {key: value.cpu() for key, value in (network | readout).items()}

    def _prepare(self) -> None:
        """Arrange the weights as they are computed with on this device."""
        self._fast_network = prepare_network(self.network, self.device)
        self._products = NodeProducts(self.readout, self._crop)


def build_convolutional_encoder(
    tensors: dict[str, Tensor], n_neurons: int
) -> ConvolutionalEncoder:
    """Return the encoder of `ConvolutionalEncoder.state_dict`; ValueError, KeyError."""
    network = build_feature_network(select_by_prefix("network.", tensors))
    expected = {
        "position": (n_neurons, 2),
        "weights": (n_neurons, N_DELAYS * network.n_features),
        "bias": (n_neurons,),
        "mean_activity": (n_neurons,),
        "behavior_gain": (len(BEHAVIOR), n_neurons),
    }
    for key, shape in expected.items():
        found = tuple(tensors[key].shape)
        if found != shape:
            raise ValueError(f"'{key}' has shape {found} in place of {shape}")
    readout = Readout(**{key: tensors[key].float() for key in _READOUT_KEYS})
    return ConvolutionalEncoder(network, readout)


def prepare_network(network: FeatureNetwork, device: torch.device) -> FeatureNetwork:
    """Return a copy in the precision and memory layout that is fastest on a device."""
    fast = copy.deepcopy(network).to(device)
    precision = choose_precision(device)
    for weights in fast.parameters():  # the temporal kernels stay in float32
        of_layer = weights.data.to(precision)
        if of_layer.ndim == 4:
            of_layer = of_layer.contiguous(memory_format=torch.channels_last)
        weights.data = of_layer
    return fast


def choose_precision(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device computes with it, else float32."""
    if device.type == "cuda":
        has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_it = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if has_it else torch.float32
