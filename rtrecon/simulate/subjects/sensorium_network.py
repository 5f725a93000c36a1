"""The baseline networks of SENSORIUM 2022, as their authors saved them.

Willeke et al. 2022 (arXiv:2206.08666): a core of depth-separable convolutions, and a
readout at one point per neuron. A file is a state dict of torch; it is opened for
weights only, so that no code in it is run.
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.core.file_kinds import describe_foreign_file
from rtrecon.simulate.subjects.image_network import (
    INPUT_KERNEL_PX,
    MAP_SHAPE,
    WHOLE_MAP,
    PointReadout,
)

# Mean and s.d. of the images that the networks were fitted to, in gray levels. The data
# set is not published with the weights; with these values, natural images reproduce the
# mean and variance that the first batch norm stored.
IMAGE_MEAN, IMAGE_SD = 113.0, 60.0
_N_FEATURES, _KERNEL_PX, _N_HIDDEN = 64, 7, 30
_N_LAYERS_LINEAR, _N_LAYERS_NONLINEAR = 3, 4  # the baselines "LN" and "SOTA"
_N_CHANNELS = (1, 4)  # without and with behavior
_READOUT_KEY = re.compile(r"readout\.([^.]+)\._features")
_UNUSED_KEY = re.compile(
    r"shifter\..*|.*regularizer.*|.*num_batches_tracked|readout\.[^.]+\.sigma"
)


@dataclass(frozen=True)
class SensoriumCore:
    """The convolutional core. weights: by the authors' keys after "core.features."."""

    weights: dict[str, Tensor]
    n_layers: int

    @property
    def reach_px(self) -> int:
        """Pixels that a crop needs around the neurons."""
        return (self.n_layers - 1) * (_KERNEL_PX // 2)

    @property
    def n_channels(self) -> int:
        """Channels of the input: the image, or image and three values of behavior."""
        return self.weights["layer0.conv.weight"].shape[1]

    def compute_maps(self, images: Tensor) -> Tensor:
        """Return maps (B, 64, height - 8, width - 8); see `ImageNetwork`."""
        w = {key: tensor.to(images.dtype) for key, tensor in self.weights.items()}
        maps = self._normalize(0, F.conv2d(images, w["layer0.conv.weight"]))
        for layer in range(1, self.n_layers):
            prefix = f"layer{layer}.ds_conv"
            maps = F.conv2d(maps, w[f"{prefix}.in_depth_conv.weight"])
            maps = F.conv2d(
                maps,
                w[f"{prefix}.spatial_conv.weight"],
                padding=_KERNEL_PX // 2,
                groups=_N_FEATURES,
            )
            maps = F.conv2d(maps, w[f"{prefix}.out_depth_conv.weight"])
            maps = self._normalize(layer, maps)
        return maps

    def _normalize(self, layer: int, maps: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            self.weights[f"layer{layer}.norm.{name}"]
            for name in ("running_mean", "running_var", "weight", "bias")
        )
        maps = F.batch_norm(maps, mean, variance, weight, bias)
        return maps if self.n_layers == _N_LAYERS_LINEAR else F.elu(maps)


def read_sensorium_file(path: Path) -> tuple[SensoriumCore, PointReadout]:
    """Read core and readout of a baseline of SENSORIUM 2022; UserError."""
    weights = _open_weights(path)
    session = _find_session(path, weights)
    n_layers = 1 + sum(key.endswith("spatial_conv.weight") for key in weights)
    _require_architecture(path, weights, session, n_layers)
    prefix = "core.features."
    core = {
        key.removeprefix(prefix): tensor
        for key, tensor in weights.items()
        if key.startswith(prefix)
    }
    used = {key: tensor for key, tensor in core.items() if tensor.is_floating_point()}
    return SensoriumCore(used, n_layers), _make_readout(weights, f"readout.{session}.")


def predict_responses(
    core: SensoriumCore, readout: PointReadout, images: Tensor
) -> Tensor:
    """Return mean responses (B, n) to still images (B, 36, 64) of 0..255, no behavior.

    The unit is the s.d. of each neuron's recorded responses.
    """
    scaled = ((images.float() - IMAGE_MEAN) / IMAGE_SD)[:, None]
    still = torch.zeros(len(images), core.n_channels - 1, *images.shape[1:])
    maps = core.compute_maps(torch.cat([scaled, still], 1))
    return activate(readout.read_maps(maps, WHOLE_MAP) + readout.bias)


def activate(drive: Tensor) -> Tensor:
    """Return the authors' output nonlinearity of a drive: ELU + 1."""
    return F.elu(drive) + 1


def _open_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"the neurons' file {path} does not exist; check its path")
    if problem := describe_foreign_file(path):
        raise UserError(f"the neurons' file {path} {problem}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} holds more than weights, or is damaged; it was not opened, "
            "because it could contain a program. Download the checkpoint again"
        ) from None
    except Exception as error:  # a damaged file may raise nearly anything
        raise UserError(
            f"{path} cannot be read as weights of torch ({type(error).__name__}); it "
            "may be cut off or another kind of file: download it again"
        ) from None
    return _require_weights(path, content)


def _require_weights(path: Path, content: Any) -> dict[str, Tensor]:
    is_weights = isinstance(content, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor)
        for key, value in content.items()
    )
    if not is_weights:
        raise _wrong_architecture(path, "it is not a state dict of tensors")
    for key, tensor in content.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(
                f"{path} has weights that are NaN or infinite in '{key}'; download it "
                "again"
            )
    return dict(content)


def _find_session(path: Path, weights: dict[str, Tensor]) -> str:
    """Return the name of the recording whose neurons the readout has."""
    matches = [found for key in weights if (found := _READOUT_KEY.fullmatch(key))]
    if len(matches) != 1:
        raise _wrong_architecture(path, f"it has {len(matches)} readouts, not one")
    return matches[0][1]


def _require_architecture(
    path: Path, weights: dict[str, Tensor], session: str, n_layers: int
) -> None:
    """Raise UserError unless every tensor has its shape and none is unknown."""
    if n_layers not in (_N_LAYERS_LINEAR, _N_LAYERS_NONLINEAR):
        raise _wrong_architecture(path, f"its core has {n_layers} layers, not 3 or 4")
    features = weights[f"readout.{session}._features"]
    n_neurons = features.shape[-1] if features.ndim else 0
    if not n_neurons:
        raise UserError(f"{path} has no neurons; give another checkpoint")
    expected = _list_core_shapes(n_layers) | _list_readout_shapes(session, n_neurons)
    for key, shapes in expected.items():
        if key not in weights:
            raise _wrong_architecture(path, f"it lacks '{key}'")
        found = tuple(weights[key].shape)
        if found not in shapes:
            raise _wrong_architecture(
                path, f"'{key}' has shape {found} in place of {shapes[0]}"
            )
    for key in weights:
        if key not in expected and not _UNUSED_KEY.fullmatch(key):
            raise _wrong_architecture(path, f"it also has '{key}'")


def _list_core_shapes(n_layers: int) -> dict[str, list[tuple[int, ...]]]:
    """Return the possible shapes of each tensor of the core, by key."""
    n, size = _N_FEATURES, (INPUT_KERNEL_PX, INPUT_KERNEL_PX)
    shapes: dict[str, list[tuple[int, ...]]] = {
        "core.features.layer0.conv.weight": [(n, c, *size) for c in _N_CHANNELS]
    }
    for layer in range(n_layers):
        prefix = f"core.features.layer{layer}"
        for name in ("running_mean", "running_var", "weight", "bias"):
            shapes[f"{prefix}.norm.{name}"] = [(n,)]
        if layer:
            size = (_KERNEL_PX, _KERNEL_PX)
            shapes[f"{prefix}.ds_conv.in_depth_conv.weight"] = [(n, n, 1, 1)]
            shapes[f"{prefix}.ds_conv.spatial_conv.weight"] = [(n, 1, *size)]
            shapes[f"{prefix}.ds_conv.out_depth_conv.weight"] = [(n, n, 1, 1)]
    return shapes


def _list_readout_shapes(
    session: str, n_neurons: int
) -> dict[str, list[tuple[int, ...]]]:
    prefix = f"readout.{session}"
    return {
        f"{prefix}._features": [(1, _N_FEATURES, 1, n_neurons)],
        f"{prefix}.bias": [(n_neurons,)],
        f"{prefix}.source_grid": [(n_neurons, 2)],
        f"{prefix}.mu_transform.0.weight": [(_N_HIDDEN, 2)],
        f"{prefix}.mu_transform.0.bias": [(_N_HIDDEN,)],
        f"{prefix}.mu_transform.2.weight": [(2, _N_HIDDEN)],
        f"{prefix}.mu_transform.2.bias": [(2,)],
    }


def _make_readout(weights: dict[str, Tensor], prefix: str) -> PointReadout:
    """Return the readout at the mean of each neuron's position.

    A small network maps the neuron's position in the cortex to one on the map.
    """
    layers = [
        (
            weights[f"{prefix}mu_transform.{layer}.weight"],
            weights[f"{prefix}mu_transform.{layer}.bias"],
        )
        for layer in (0, 2)
    ]
    hidden = F.elu(F.linear(weights[f"{prefix}source_grid"], *layers[0]))
    position = torch.tanh(F.linear(hidden, *layers[1]))  # x, y in -1..1
    last = torch.tensor([MAP_SHAPE[1] - 1.0, MAP_SHAPE[0] - 1.0])
    return PointReadout(
        (position + 1) / 2 * last,
        weights[f"{prefix}_features"][0, :, 0],
        weights[f"{prefix}bias"],
    )


def _wrong_architecture(path: Path, detail: str) -> UserError:
    return UserError(
        f"{path} is not one of the four baseline models of SENSORIUM 2022 for images "
        f"of 36 x 64 px: {detail}. Give sensorium_sota_model.pth, "
        "sensorium_ln_model.pth, sensorium_p_sota_model.pth or sensorium_p_ln_model.pth"
    )
