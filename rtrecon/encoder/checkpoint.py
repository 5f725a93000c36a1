"""Checkpoints: an encoder with its prior, calibration and neurons, in one file.

The encoder is a convolutional or a compact one, or a DwiseNeuro whose weights stay in
their own files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from rtrecon.encoder.activity_decoder import ActivityDecoder
from rtrecon.encoder.card import (
    MASK_KEYS,
    Card,
    CheckpointError,
    prepare_output_path,
    read_card,
)
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.convolutional.encoder import (
    ConvolutionalEncoder,
    build_convolutional_encoder,
)
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.dwiseneuro.external_weights import (
    ExternalWeights,
    open_external_encoder,
    read_external_weights,
)
from rtrecon.encoder.dwiseneuro.inference import WINDOW_SPAN_FRAMES
from rtrecon.encoder.dwiseneuro.live import LiveDwiseNeuro, RecordingFit
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.tensor_files import read_tensors, select_by_prefix, write_tensors
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.space import StimulusSpace

MAX_BEHAVIOR_SD = 4.0  # behavior farther from its mean was never trained on
_PRIOR_KEYS = ("mean", "ar_coefficient", "innovation_sd", "frame_error_sd")
_CALIBRATION_KEYS = (
    "dispersion",
    "behavior_mean",
    "behavior_sd",
    "identifiability",
    "innovation_power",
)
# Half precision halves the file and does not change what the inversion finds.
_HALF_PRECISION_KEYS = (
    "encoder.spatial_filters",
    "encoder.weights",
    "identifiability",
    "error_ratio",
    "decoder.projection",
    "decoder.weights",
    "decoder.components",
)
_DECODER_KEYS = (
    "activity_mean",
    "projection",
    "weights",
    "components",
    "offset",
    "residual_variance",
    "residual_ar",
    "innovation_power",
)


@dataclass(frozen=True)
class Calibration:
    """What the inversion needs besides encoder and prior, from validation clips.

    dispersion (n,): variance of activity around the prediction, per mean. data_weight:
    weight of the data against the prior. behavior_mean, behavior_sd (4,): in the order
    of `BEHAVIOR`. identifiability (height, width) 0..1: share of each value's variance
    that the inversion recovered. innovation_power (n_coef,): mean square of the
    innovations that the inversion found; it is 1 in movies of the prior. error_ratio
    (ages, height, width): squared errors of the movie divided by the variance of
    posterior samples, for frames 0, 5, 10, ... encoder frames old; None where it was
    not measured.
    """

    dispersion: Tensor
    behavior_mean: Tensor
    behavior_sd: Tensor
    identifiability: Tensor
    innovation_power: Tensor
    data_weight: float
    error_ratio: Tensor | None = None

    def standardize_behavior(self, behavior: Tensor) -> Tensor:
        """Return recorded behavior (..., 4) in s.d. from its mean; NaN becomes 0.

        Values are clipped to +-`MAX_BEHAVIOR_SD`.
        """
        return self._z_score(behavior).clamp(-MAX_BEHAVIOR_SD, MAX_BEHAVIOR_SD)

    def is_behavior_out_of_range(self, behavior: Tensor) -> Tensor:
        """Return bool (..., 4): where `standardize_behavior` clips."""
        return self._z_score(behavior).abs() > MAX_BEHAVIOR_SD

    def _z_score(self, behavior: Tensor) -> Tensor:
        return torch.nan_to_num((behavior - self.behavior_mean) / self.behavior_sd)


@dataclass(frozen=True)
class Checkpoint:
    """What `rtrecon train` or `rtrecon adapt` makes and the inversion needs; frozen.

    decoder: None in checkpoints that have no decoder.
    """

    card: Card
    encoder: CompactEncoder | ConvolutionalEncoder | LiveDwiseNeuro
    prior: Prior
    calibration: Calibration
    decoder: ActivityDecoder | None = None

    @property
    def space(self) -> StimulusSpace:
        """The stimuli that the encoder predicts activity for."""
        return self.card.space

    def require_compact(self) -> CompactEncoder:
        """Return its compact encoder; CheckpointError if it is of another form."""
        if isinstance(self.encoder, CompactEncoder):
            return self.encoder
        is_own = isinstance(self.encoder, ConvolutionalEncoder)
        form = "a convolutional" if is_own else "a published"
        raise CheckpointError(
            f"checkpoint {self.card.path} has {form} encoder, not a compact one; give "
            "one that `rtrecon train --encoder-form compact` made"
        )


def save_checkpoint(checkpoint: Checkpoint) -> None:
    """Write a checkpoint to its card's path as safetensors."""
    card, calibration = checkpoint.card, checkpoint.calibration
    tensors = {f"encoder.{k}": v for k, v in checkpoint.encoder.state_dict().items()}
    tensors |= {f"prior.{k}": getattr(checkpoint.prior, k) for k in _PRIOR_KEYS}
    tensors |= {k: getattr(calibration, k) for k in _CALIBRATION_KEYS}
    if calibration.error_ratio is not None:
        tensors["error_ratio"] = calibration.error_ratio
    tensors |= {
        f"masks.{k}": torch.from_numpy(getattr(card.rois, k)) for k in MASK_KEYS
    }
    tensors["mean_image"] = torch.from_numpy(card.mean_image)
    decoder = checkpoint.decoder
    if decoder is not None:
        tensors |= {f"decoder.{k}": getattr(decoder, k) for k in _DECODER_KEYS}
    for key in tensors.keys() & _HALF_PRECISION_KEYS:
        tensors[key] = tensors[key].half()
    metadata = {
        **card.stored_metadata,
        "data_weight": calibration.data_weight,
    }
    if decoder is not None:
        metadata["decoder"] = {
            "data_weight": decoder.data_weight,
            "gain": decoder.gain,
        }
    prepare_output_path(card.path)
    write_tensors(card.path, tensors, {"rtrecon": json.dumps(metadata)})


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and the files that it refers to; raises `CheckpointError`."""
    card = read_card(path)
    external = read_external_weights(card)
    try:
        stored = read_tensors(path, unchecked=("mean_image",))
        tensors = {key: _to_float32(value) for key, value in stored.items()}
        _require_shapes(tensors, card, external)
        prior = Prior(*(tensors[f"prior.{key}"] for key in _PRIOR_KEYS))
        calibration = Calibration(
            **{key: tensors[key] for key in _CALIBRATION_KEYS},
            data_weight=float(card.metadata["data_weight"]),
            error_ratio=tensors.get("error_ratio"),
        )
        decoder = _build_decoder(card, tensors)
        weights = select_by_prefix("encoder.", tensors)
        if external is None:
            encoder = _build_encoder(card, weights)
            return Checkpoint(card, encoder, prior, calibration, decoder)
        fit = RecordingFit(
            calibration.behavior_mean, calibration.behavior_sd, **weights
        )
    except CheckpointError:
        raise  # a ValueError that already is a sentence
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"checkpoint {path} does not hold a whole encoder: {error}; train it anew "
            "or use the version that made it"
        ) from None
    dwiseneuro = open_external_encoder(card, external)
    adapted = LiveDwiseNeuro(dwiseneuro, fit, external.stride_frames)
    return Checkpoint(card, adapted, prior, calibration, decoder)


def _build_encoder(
    card: Card, weights: dict[str, Tensor]
) -> CompactEncoder | ConvolutionalEncoder:
    if "position" in weights:
        return build_convolutional_encoder(weights, len(card.rois))
    encoder = CompactEncoder(make_dct_basis(card.space).n_coef, len(card.rois))
    encoder.load_state_dict(weights)
    return encoder.requires_grad_(False)


def _build_decoder(card: Card, tensors: dict[str, Tensor]) -> ActivityDecoder | None:
    weights = select_by_prefix("decoder.", tensors)
    if not weights:
        return None
    stored = card.metadata["decoder"]
    decoder = ActivityDecoder(
        **weights,
        data_weight=float(stored["data_weight"]),
        gain=float(stored["gain"]),
    )
    decoder.require_shapes(len(card.rois), make_dct_basis(card.space).n_coef)
    return decoder


def _to_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _require_shapes(
    tensors: dict[str, Tensor], card: Card, external: ExternalWeights | None
) -> None:
    """Check the shapes that torch does not check; ValueError names a wrong one."""
    n_neurons, sizes = len(card.rois), card.space.shape
    n_coef, n_behavior = make_dct_basis(card.space).n_coef, len(BEHAVIOR)
    expected: dict[str, tuple[int, ...]] = {
        f"prior.{k}": (n_coef,) for k in _PRIOR_KEYS
    }
    expected |= {
        "dispersion": (n_neurons,),
        "identifiability": sizes,
        "behavior_mean": (n_behavior,),
        "behavior_sd": (n_behavior,),
        "innovation_power": (n_coef,),
    }
    if external is not None:
        expected |= {"encoder.gain": (n_neurons,), "encoder.baseline": (n_neurons,)}
        expected |= {"encoder.lag_weights": (WINDOW_SPAN_FRAMES,)}
    if "error_ratio" in tensors:
        n_ages = len(tensors["error_ratio"])
        expected["error_ratio"] = (max(1, n_ages), *sizes)
    for key, shape in expected.items():
        found = tuple(tensors[key].shape)
        if found != shape:
            raise ValueError(f"'{key}' has shape {found} in place of {shape}")
