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

    Its length is the shortest of video, pupil center and responses, without the NaN at
    their ends. (Behaviour has no NaN at its end, so it does not show the length.)
    Raises UserError if the arrays do not form a trial.
    """
    shapes = {"videos": MOVIE_SHAPE, "behavior": (2,), "pupil_center": (2,)}
    shapes["responses"] = (n_neurons,)
    for kind, array in arrays.items():
        _require_shape(kind, array, shapes[kind], arrays["videos"].shape[-1])
    responses = arrays.get("responses")
    if responses is not None and _is_withheld(responses):
        responses = None
    padded = [arrays["videos"], arrays["pupil_center"], responses]
    length = min(_count_frames(array) for array in padded if array is not None)
    movie = _move_time_first(arrays["videos"], length)
    if not length or np.isnan(movie).any():
        raise UserError("its video is NaN, or has NaN between its frames")
    behavior = np.concatenate([arrays["behavior"], arrays["pupil_center"]])
    return SensoriumTrial(
        movie=movie,
        behavior=_move_time_first(behavior, length),
        responses=None if responses is None else _move_time_first(responses, length),
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
