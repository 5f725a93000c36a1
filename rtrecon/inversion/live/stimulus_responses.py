"""What the encoder answers to the stimulus, to compare with its answer to the movie."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.dwiseneuro.live import LiveDwiseNeuro
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import NO_BEHAVIOR, BehaviorValues

_Value = TypeVar("_Value")

_MAX_FRAMES = 300  # encoder frames whose stimulus and behaviour are stored


class StimulusResponses:
    """Predicts the activity that the stimulus causes, frame by frame.

    Behaviour is the one that the inversion has, so that answers to stimulus and movie
    differ by the movie alone. A published encoder takes too long; it has no answers.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        encoder = checkpoint.encoder
        self._encoder = None if isinstance(encoder, LiveDwiseNeuro) else encoder
        self._calibration = checkpoint.calibration
        self._basis = make_dct_basis(checkpoint.space)
        self.begin_session()

    def begin_session(self) -> None:
        """Discard all stimuli and behaviour."""
        self._images: OrderedDict[int, Array] = OrderedDict()
        self._coefficients: OrderedDict[int, Tensor] = OrderedDict()
        self._behavior: OrderedDict[int, BehaviorValues] = OrderedDict()

    def add_stimulus(self, encoder_frame: int, image: Array) -> None:
        """Store the stimulus (height, width) at an encoder frame."""
        if self._encoder is not None:
            _store_newest(self._images, encoder_frame, image)

    def add_activity(self, header: messages.Activity) -> None:
        """Store the behaviour at an encoder frame."""
        _store_newest(self._behavior, header.encoder_frame, header.behavior)

    def predict(self, start: int, n_frames: int) -> Array | None:
        """Return the activity (n_frames, n) that the stimulus causes from `start` on.

        None where the stimulus of these frames, or of those before that the encoder
        needs, is not known.
        """
        if self._encoder is None:
            return None
        past_frames = self._encoder.past_frames
        indices = range(start - past_frames, start + n_frames)
        if not all(index in self._images for index in indices):
            return None
        self._transform_images(indices)
        device = self._encoder.device
        frames = torch.stack([self._coefficients[index] for index in indices])
        with torch.no_grad():
            answer = self._encoder.predict(
                frames.to(device), self._standardize_behavior(indices).to(device)
            )
        return np.asarray(answer.cpu().numpy())

    def _transform_images(self, indices: range) -> None:
        """Compute the coefficients that are not stored yet, all at once."""
        new = [index for index in indices if index not in self._coefficients]
        if not new:
            return
        images = np.stack([self._images[index] for index in new])
        for index, row in zip(new, self._basis.from_pixels(images), strict=True):
            _store_newest(self._coefficients, index, row)

    def _standardize_behavior(self, indices: range) -> Tensor:
        rows = [self._behavior.get(index, NO_BEHAVIOR) for index in indices]
        raw = torch.from_numpy(np.array(rows, np.float32))
        return self._calibration.standardize_behavior(raw)


def _store_newest(stored: OrderedDict[int, _Value], index: int, value: _Value) -> None:
    stored[index] = value
    while len(stored) > _MAX_FRAMES:
        stored.popitem(last=False)
