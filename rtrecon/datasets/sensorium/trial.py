"""One trial of a Sensorium folder, without padding; missing data are NaN or None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.layout import MOVIE_SHAPE, DataKind


@dataclass(frozen=True)
class SensoriumTrial:
    """T frames at 30 Hz, all float32.

    movie: (T, 36, 64), 0 to 255. behavior: (T, 4) in the order of `BEHAVIOR`, NaN where
    it was not measured. responses: (T, n), deconvolved activity as stored; None if it
    is withheld.
    """

    movie: Array
    behavior: Array
    responses: Array | None = None

    def __len__(self) -> int:
        return len(self.movie)


def build_trial(arrays: Mapping[DataKind, Array], n_neurons: int) -> SensoriumTrial:
    """Build a trial from the arrays in its files, time last; responses may be missing.

    Its length is that of video and responses, without the NaN at their ends; without
    responses, also that of the pupil center, which the tracker may have lost earlier.
    (Behaviour has no NaN at its end, so it does not show the length.) Raises UserError
    if the arrays do not form a trial.
    """
    shapes = {"videos": MOVIE_SHAPE, "behavior": (2,), "pupil_center": (2,)}
    shapes["responses"] = (n_neurons,)
    for kind, array in arrays.items():
        _require_shape(kind, array, shapes[kind], arrays["videos"].shape[-1])
    responses = arrays.get("responses")
    if responses is not None and _is_withheld(responses):
        responses = None
    padded = arrays["pupil_center"] if responses is None else responses
    length = min(_count_frames(array) for array in (arrays["videos"], padded))
    movie = _move_time_first(arrays["videos"], length)
    _require_movie(movie)
    behavior = np.concatenate([arrays["behavior"], arrays["pupil_center"]])
    return SensoriumTrial(
        movie=movie,
        behavior=_move_time_first(behavior, length),
        responses=None if responses is None else _move_time_first(responses, length),
    )


def _require_movie(movie: Array) -> None:
    if not len(movie) or np.isnan(movie).any():
        raise UserError("its video is NaN, or has NaN between its frames")
    low, high = float(movie.min()), float(movie.max())
    if not np.isfinite([low, high]).all():
        raise UserError("its video has infinite values; download it again")
    if low >= 0 and 0 < high <= 1 and np.any(movie != np.rint(movie)):
        raise UserError(
            f"its video has values from {low:g} to {high:g}, but 255 is white; "
            "multiply the files of the videos by 255"
        )


def _move_time_first(array: Array, length: int) -> Array:
    """Return float32 (length, ...), whatever the precision in the file."""
    return np.ascontiguousarray(np.moveaxis(array[..., :length], -1, 0), np.float32)


def _count_frames(array: Array) -> int:
    """Return the number of frames before the NaN at the end; all if all are NaN."""
    frames = array.reshape(-1, array.shape[-1])
    filled = np.flatnonzero(~np.isnan(frames).all(0))
    return int(filled[-1]) + 1 if len(filled) else array.shape[-1]


def _is_withheld(responses: Array) -> bool:
    return not np.nan_to_num(responses).any()


def _require_shape(
    kind: str, array: Array, shape: tuple[int, ...], n_frames: int
) -> None:
    expected = (*shape, n_frames)
    if array.shape != expected:
        raise UserError(f"{kind} has shape {array.shape} instead of {expected}")
