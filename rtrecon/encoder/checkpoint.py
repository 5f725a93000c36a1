"""Checkpoints: encoder, prior and calibration beside the neurons they belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rtrecon.encoder.card import FORMAT, MASK_KEYS, Card, CheckpointError, read_card
from rtrecon.encoder.compact import Compact
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.spectrum import SHAPE, spectrum

_PRIOR_KEYS = ("mean", "rho", "q", "doubt")
_CALIBRATION_KEYS = ("dispersion", "behavior_mean", "behavior_sd", "identifiability")
_COMPACTED = ("model.filters", "identifiability")  # halves the file, costs nothing


@dataclass(frozen=True)
class Calibration:
    """What inversion needs besides encoder and prior, from clips kept for it.

    dispersion (n,): variance of activity per mean, around the prediction.
    temperature: weight of the data. behavior_mean, behavior_sd (2,): pupil dilation
    and running speed. identifiability (36, 64) 0..1: share of the movie's variance
    that inversion recovered at each pixel.
    """

    dispersion: Tensor
    behavior_mean: Tensor
    behavior_sd: Tensor
    identifiability: Tensor
    temperature: float


@dataclass(frozen=True)
class Checkpoint:
    """Everything that `rtrecon train` makes and the inverter needs; frozen weights."""

    card: Card
    model: Compact
    prior: Prior
    calibration: Calibration


def make_room(path: Path) -> None:
    """Make the folder of a checkpoint to come; `CheckpointError` if it cannot be."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give a file to write instead")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be written: {error}") from None


def save(checkpoint: Checkpoint) -> None:
    """Write a checkpoint to its card's path as safetensors."""
    card, calibration = checkpoint.card, checkpoint.calibration
    tensors = {f"model.{k}": v for k, v in checkpoint.model.state_dict().items()}
    tensors |= {f"prior.{k}": getattr(checkpoint.prior, k) for k in _PRIOR_KEYS}
    tensors |= {k: getattr(calibration, k) for k in _CALIBRATION_KEYS}
    tensors |= {
        f"masks.{k}": torch.from_numpy(getattr(card.rois, k)) for k in MASK_KEYS
    }
    tensors["mean_image"] = torch.from_numpy(card.mean_image)
    for key in _COMPACTED:
        tensors[key] = tensors[key].half()
    meta = {
        **card.meta,
        "format": FORMAT,
        "temperature": calibration.temperature,
    }
    contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
    make_room(card.path)
    half_written = card.path.with_suffix(".part")  # never in place of an older one
    save_file(contiguous, half_written, metadata={"rtrecon": json.dumps(meta)})
    half_written.replace(card.path)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; raises `CheckpointError` with a sentence."""
    card = read_card(path)
    try:
        tensors = {key: _single(value) for key, value in load_file(path).items()}
        _require_shapes(tensors, len(card.rois))
        model = Compact(spectrum().n_coef, len(card.rois))
        model.load_state_dict(_under("model.", tensors))
        prior = Prior(*(tensors[f"prior.{key}"] for key in _PRIOR_KEYS))
        calibration = Calibration(
            **{key: tensors[key] for key in _CALIBRATION_KEYS},
            temperature=float(card.meta["temperature"]),
        )
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"checkpoint {path} does not hold a whole encoder: {error}; train it anew "
            "or use the version that made it"
        ) from None
    return Checkpoint(card, model.requires_grad_(False), prior, calibration)


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }


def _require_shapes(tensors: dict[str, Tensor], n_neurons: int) -> None:
    """Check what torch does not when it loads; ValueError says what is wrong."""
    n_coef = spectrum().n_coef
    expected: dict[str, tuple[int, ...]] = {
        f"prior.{k}": (n_coef,) for k in _PRIOR_KEYS
    }
    expected |= {"dispersion": (n_neurons,), "identifiability": SHAPE}
    expected |= {"behavior_mean": (2,), "behavior_sd": (2,)}
    for key, shape in expected.items():
        found = tuple(tensors[key].shape)
        if found != shape:
            raise ValueError(f"'{key}' has shape {found} in place of {shape}")
