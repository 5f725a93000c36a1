"""Checkpoints: encoder, prior and calibration beside the neurons they belong to.

The encoder is a compact one, or a published one in files of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rtrecon.encoder.card import (
    FORMAT,
    MASK_KEYS,
    Card,
    CheckpointError,
    make_room,
    read_card,
)
from rtrecon.encoder.compact import Compact
from rtrecon.encoder.dwiseneuro.external_weights import (
    Reference,
    open_published,
    reference_of,
)
from rtrecon.encoder.dwiseneuro.inference import SPAN
from rtrecon.encoder.dwiseneuro.live import Fit, LivePublished
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.protocol.behavior import BEHAVIOR

MOST_SD = 4.0  # of behaviour; what is further out was never trained on
_PRIOR_KEYS = ("mean", "rho", "q", "doubt")
_CALIBRATION_KEYS = (
    "dispersion",
    "behavior_mean",
    "behavior_sd",
    "identifiability",
    "heard",
)
_COMPACTED = ("model.filters", "identifiability")  # halves the file, costs nothing


@dataclass(frozen=True)
class Calibration:
    """What inversion needs besides encoder and prior, from clips kept for it.

    dispersion (n,): variance of activity per mean, around the prediction.
    temperature: weight of the data. behavior_mean, behavior_sd (4,): in the order of
    `BEHAVIOR`. identifiability (36, 64) 0..1: share of the movie's variance that
    inversion recovered at each pixel. heard (n_coef,): mean square of the innovations
    that inversion found, of which movies have 1.
    """

    dispersion: Tensor
    behavior_mean: Tensor
    behavior_sd: Tensor
    identifiability: Tensor
    heard: Tensor
    temperature: float

    def scaled(self, behavior: Tensor) -> Tensor:
        """Return behaviour (..., 4) z-scored from what was recorded; NaN is the mean.

        What no training saw is held at `MOST_SD`.
        """
        return self._spread(behavior).clamp(-MOST_SD, MOST_SD)

    def outside(self, behavior: Tensor) -> Tensor:
        """Return bool (..., 4): what is further out than `scaled` tells."""
        return self._spread(behavior).abs() > MOST_SD

    def _spread(self, behavior: Tensor) -> Tensor:
        return torch.nan_to_num((behavior - self.behavior_mean) / self.behavior_sd)


@dataclass(frozen=True)
class Checkpoint:
    """All that `rtrecon train` or `adapt` makes and the inverter needs; frozen."""

    card: Card
    model: Compact | LivePublished
    prior: Prior
    calibration: Calibration

    def compact(self) -> Compact:
        """Return its model; `CheckpointError` where that is a published encoder."""
        if isinstance(self.model, Compact):
            return self.model
        raise CheckpointError(
            f"checkpoint {self.card.path} is for a published encoder, and has no "
            "compact one; give one that `rtrecon train` made"
        )


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
    for key in tensors.keys() & _COMPACTED:
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
    """Read a checkpoint, and what it refers to; `CheckpointError` with a sentence."""
    card = read_card(path)
    reference = reference_of(card)
    try:
        tensors = {key: _single(value) for key, value in load_file(path).items()}
        _require_shapes(tensors, len(card.rois), reference)
        prior = Prior(*(tensors[f"prior.{key}"] for key in _PRIOR_KEYS))
        calibration = Calibration(
            **{key: tensors[key] for key in _CALIBRATION_KEYS},
            temperature=float(card.meta["temperature"]),
        )
        own = _under("model.", tensors)
        if reference is None:
            return Checkpoint(card, _compact(card, own), prior, calibration)
        fit = Fit(calibration.behavior_mean, calibration.behavior_sd, **own)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"checkpoint {path} does not hold a whole encoder: {error}; train it anew "
            "or use the version that made it"
        ) from None
    published = open_published(card, reference)
    model = LivePublished(published, fit, reference.stride_frames)
    return Checkpoint(card, model, prior, calibration)


def _compact(card: Card, tensors: dict[str, Tensor]) -> Compact:
    model = Compact(spectrum().n_coef, len(card.rois))
    model.load_state_dict(tensors)
    return model.requires_grad_(False)


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }


def _require_shapes(
    tensors: dict[str, Tensor], n_neurons: int, reference: Reference | None
) -> None:
    """Check what torch does not when it loads; ValueError says what is wrong."""
    n_coef = spectrum().n_coef
    expected: dict[str, tuple[int, ...]] = {
        f"prior.{k}": (n_coef,) for k in _PRIOR_KEYS
    }
    expected |= {"dispersion": (n_neurons,), "identifiability": SHAPE}
    told = (len(BEHAVIOR),)
    expected |= {"behavior_mean": told, "behavior_sd": told, "heard": (n_coef,)}
    if reference is not None:
        expected |= {"model.gain": (n_neurons,), "model.floor": (n_neurons,)}
        expected |= {"model.reach": (SPAN,)}
    for key, shape in expected.items():
        found = tuple(tensors[key].shape)
        if found != shape:
            raise ValueError(f"'{key}' has shape {found} in place of {shape}")
