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
    card.path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(contiguous, card.path, metadata={"rtrecon": json.dumps(meta)})


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; raises `CheckpointError` with a sentence."""
    card = read_card(path)
    try:
        tensors = {key: _single(value) for key, value in load_file(path).items()}
        weights = {
            key.removeprefix("model."): value
            for key, value in tensors.items()
            if key.startswith("model.")
        }
        model = Compact(weights["filters"].shape[1], len(card.rois))
        model.load_state_dict(weights)
        prior = Prior(*(tensors[f"prior.{key}"] for key in _PRIOR_KEYS))
        calibration = Calibration(
            **{key: tensors[key] for key in _CALIBRATION_KEYS},
            temperature=float(card.meta["temperature"]),
        )
    except (KeyError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"checkpoint {path} does not hold a whole encoder: {error}"
        ) from None
    return Checkpoint(card, model.requires_grad_(False), prior, calibration)


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.float16 else tensor
