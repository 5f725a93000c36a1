"""Opens encoder files of either kind, and checks that they fit a clip's neurons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.base import Encoder
from rtrecon.encoder.card import find_checkpoint
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder
from rtrecon.encoder.dwiseneuro.convert import is_dwiseneuro_file
from rtrecon.encoder.dwiseneuro.inference import DWISENEURO_RATE_HZ, load_dwiseneuro
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.pixel_rates import (
    CompactPixelEncoder,
    ConvolutionalPixelEncoder,
)
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import IMAGE_SHAPE, describe_size

_MAX_RATE_DIFFERENCE = 0.01  # share by which rates may differ


def open_checkpoint(path: Path, clip: Clip) -> Checkpoint:
    """Open an encoder to invert; UserError where it is not of the clip's neurons.

    path: of one that was trained, or of a published one that was adapted; 'demo' is the
    one shipped with the package.
    """
    if is_dwiseneuro_file(find_checkpoint(str(path))):
        raise UserError(
            f"{path} is a published encoder, which has no prior to invert it with; "
            "make one for it with `rtrecon adapt`, or reconstruct with --method "
            "published"
        )
    checkpoint = load_checkpoint(find_checkpoint(str(path)))
    _require_same_space(path, checkpoint.space, clip)
    _require_same_neurons(path, checkpoint.card.rois.ids, clip)
    _require_rate(
        path, float(checkpoint.card.metadata.get("rate_hz", clip.rate_hz)), clip
    )
    return checkpoint


def open_encoder(
    path: Path, clip: Clip, mouse: str | None = None, device: str = "cpu"
) -> Encoder:
    """Open an encoder of any kind; UserError where it is not one for the clip.

    mouse: whose readout, where a published file has several. device: of a published
    encoder; one that was trained answers on the CPU.
    """
    require_device(device)
    _require_usual_movie(clip)
    if not is_dwiseneuro_file(find_checkpoint(str(path))):
        return _create_pixel_encoder(open_checkpoint(path, clip), device)
    encoder = load_dwiseneuro([path], mouse, device)
    _require_same_neurons(path, encoder.neuron_ids, clip)
    _require_rate(path, DWISENEURO_RATE_HZ, clip)
    return encoder


def _create_pixel_encoder(checkpoint: Checkpoint, device: str) -> Encoder:
    """Return the encoder of a checkpoint, whatever it is inverted with left out."""
    if isinstance(checkpoint.encoder, ConvolutionalEncoder):
        return ConvolutionalPixelEncoder(checkpoint.encoder, checkpoint.calibration)
    if isinstance(checkpoint.encoder, CompactEncoder):
        return CompactPixelEncoder(checkpoint)
    published = checkpoint.encoder.dwiseneuro.to(device)
    published.recompute_forward, published.dtype = False, torch.float32  # as published
    return published


def require_device(device: str) -> None:
    """Raise UserError where there is no such device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "device 'cuda' is asked for, but torch finds none here; install a torch "
            "built for CUDA and its driver, or use the CPU"
        )


def _require_usual_movie(clip: Clip) -> None:
    """Require movies of the size that published encoders and their method take."""
    if not clip.space.is_picture or clip.space.shape != IMAGE_SHAPE:
        raise UserError(
            f"the published method and its masks are for movies of "
            f"{describe_size(IMAGE_SHAPE)} px, but the stimulus of {clip.name} is "
            f"{clip.space.describe()}; use --method live or map"
        )


def _require_same_space(path: Path, space: StimulusSpace, clip: Clip) -> None:
    if (clip.space.name, clip.space.shape) != (space.name, space.shape):
        raise UserError(
            f"{clip.name} has a stimulus of {clip.space.describe()}, encoder {path} "
            f"was trained on {space.describe()}; give an encoder of {clip.space.name}"
        )


def _require_same_neurons(path: Path, ids: Array, clip: Clip) -> None:
    n_recorded = clip.target.activity.shape[1]
    if n_recorded != len(ids):
        raise UserError(
            f"{clip.name} has activity of {n_recorded} neurons, encoder {path} has "
            f"{len(ids)}; give the encoder that was trained on these neurons"
        )
    recorded = ids if clip.neuron_ids is None else clip.neuron_ids
    differ = np.flatnonzero(recorded != ids)
    if len(differ):
        first = int(differ[0])
        raise UserError(
            f"{clip.name} has neuron {recorded[first]} at index {first}, where encoder "
            f"{path} has {ids[first]}; give the encoder that was trained on these "
            "neurons"
        )


def _require_rate(path: Path, rate_hz: float, clip: Clip) -> None:
    if abs(clip.rate_hz - rate_hz) > _MAX_RATE_DIFFERENCE * rate_hz:
        raise UserError(
            f"{clip.name} has {clip.rate_hz:g} frames per second, encoder {path} was "
            f"trained at {rate_hz:g}; record with timing.encoder_rate_hz = {rate_hz:g}"
        )
