"""Encoders for Python users: open a file, predict the activity that a movie causes.

from rtrecon.encoder.api import load_encoder

encoder = load_encoder("demo")
rates = encoder.predict(movie)  # (T, 36, 64) gray levels -> (T, n_neurons)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.card import find_checkpoint
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.dwiseneuro.convert import is_dwiseneuro_file
from rtrecon.encoder.dwiseneuro.inference import (
    DWISENEURO_RATE_HZ,
    WINDOW_SPAN_FRAMES,
    DwiseNeuroEncoder,
    load_dwiseneuro,
)
from rtrecon.encoder.dwiseneuro.live import LiveDwiseNeuro
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import VIDEO

_CAUSAL_SEGMENT_FRAMES = 936  # predicted at once; bounds the memory
_DWISENEURO_SEGMENT_FRAMES = 120

Predict = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder that predicts the activity of the neurons it was trained on.

    neuron_ids: (n,) in the order of predictions. rate_hz: frames per second of movies.
    image_shape: (36, 64), lines and pixels of a frame; see `StimulusSpace.shape`.

    >>> import numpy as np
    >>> encoder = load_encoder("demo")
    >>> movie = np.full((60, *encoder.image_shape), 127.0)
    >>> encoder.predict(movie).shape
    (60, 1000)
    """

    neuron_ids: Array = field(repr=False)
    rate_hz: float
    _predict: Predict = field(repr=False)
    image_shape: tuple[int, int] = VIDEO.shape

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.neuron_ids)

    def predict(self, movie: Array, behavior: Array | None = None) -> Array:
        """Return (T, n_neurons) float32, the expected activity in each frame.

        movie: (T, 36, 64) gray levels 0..255 at `rate_hz`. behavior: (T, 4) in the
        order of `BEHAVIOR` (pupil dilation in px, running speed in cm/s, pupil x and y
        in px); NaN, and all of it where it is not given, counts as the training mean.
        Before the first frame the movie is taken to show that same frame. Raises
        UserError for another shape, and for DwiseNeuro below 32 frames.
        """
        _require_movie(movie, self.image_shape)
        n_frames = len(movie)
        if behavior is None:
            behavior = np.full((n_frames, len(BEHAVIOR)), np.nan)
        if behavior.shape != (n_frames, len(BEHAVIOR)):
            raise UserError(
                f"behavior has shape {behavior.shape}; give ({n_frames}, "
                f"{len(BEHAVIOR)}): {', '.join(BEHAVIOR)} of each frame"
            )
        video, values = (
            torch.from_numpy(np.ascontiguousarray(array, np.float32))
            for array in (movie, behavior)
        )
        with torch.no_grad():
            return np.asarray(self._predict(video, values).numpy())


def load_encoder(path: str | Path, mouse: str | int | None = None) -> LoadedEncoder:
    """Open an encoder of either kind on the CPU.

    path: checkpoint of `rtrecon train` or `rtrecon adapt`, a published DwiseNeuro file
    or one that `rtrecon convert` wrote; "demo" is the encoder shipped with the package.
    mouse: index (0 to 9) or name of the mouse whose readout to use; needed where a
    published file has several. Raises CheckpointError, a UserError.
    """
    file = find_checkpoint(str(path))
    if is_dwiseneuro_file(file):
        dwiseneuro = load_dwiseneuro([file], mouse)
        predict = partial(_predict_dwiseneuro, dwiseneuro)
        return LoadedEncoder(dwiseneuro.neuron_ids, DWISENEURO_RATE_HZ, predict)
    checkpoint = load_checkpoint(file)
    rate_hz = float(checkpoint.card.metadata.get("rate_hz", DWISENEURO_RATE_HZ))
    return LoadedEncoder(
        checkpoint.card.rois.ids,
        rate_hz,
        partial(_predict_checkpoint, checkpoint),
        checkpoint.space.shape,
    )


def _require_movie(movie: Array, image_shape: tuple[int, int]) -> None:
    if movie.ndim != 3 or not len(movie) or movie.shape[1:] != image_shape:
        height, width = image_shape
        raise UserError(
            f"the movie has shape {movie.shape}; give (frames, {height}, {width}), one "
            "frame or more"
        )


def _predict_checkpoint(
    checkpoint: Checkpoint, video: Tensor, behavior: Tensor
) -> Tensor:
    encoder = checkpoint.encoder
    if not isinstance(encoder, LiveDwiseNeuro):
        standardized = checkpoint.calibration.standardize_behavior(behavior)
        shown = make_dct_basis(checkpoint.space).from_pixels(video.numpy())
        return _predict_causal(encoder, shown, standardized)
    rates = _predict_dwiseneuro(encoder.dwiseneuro, video, behavior)
    return rates * encoder.fit.gain + encoder.fit.baseline


def _predict_causal(encoder: LiveEncoder, shown: Tensor, behavior: Tensor) -> Tensor:
    past_frames = encoder.past_frames
    frames = torch.cat([shown[:1].expand(past_frames, -1), shown])
    segments = [
        encoder.predict(
            frames[start : start + past_frames + _CAUSAL_SEGMENT_FRAMES],
            behavior[start : start + _CAUSAL_SEGMENT_FRAMES],
        )
        for start in range(0, len(shown), _CAUSAL_SEGMENT_FRAMES)
    ]
    return torch.cat(segments)


def _predict_dwiseneuro(
    encoder: DwiseNeuroEncoder, video: Tensor, behavior: Tensor
) -> Tensor:
    """Predict segment by segment; each sees all the windows that see its frames."""
    n_frames = len(video)
    if n_frames <= WINDOW_SPAN_FRAMES:
        raise UserError(
            f"DwiseNeuro needs {WINDOW_SPAN_FRAMES + 1} frames or more to predict each "
            f"of them, and the movie has {n_frames}; give a longer one"
        )
    margin, segments = WINDOW_SPAN_FRAMES - 1, []
    for start in range(0, n_frames, _DWISENEURO_SEGMENT_FRAMES):
        stop = min(start + _DWISENEURO_SEGMENT_FRAMES, n_frames)
        first = max(0, min(start - margin, n_frames - WINDOW_SPAN_FRAMES - 1))
        last = min(n_frames, max(stop + margin, first + WINDOW_SPAN_FRAMES + 1))
        rates = encoder.predict_rates(video[first:last], behavior[first:last])
        segments.append(rates[start - first : stop - first])
    return torch.cat(segments)
