"""One trial of a Sensorium folder: cut to its length, and what is missing told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.layout import SHAPE, Kind


@dataclass(frozen=True)
class Trial:
    """T frames at 30 Hz, all float32.

    movie: (T, 36, 64), 0..255. behavior: (T, 4) in the order of `BEHAVIOR`, NaN where
    it was not measured. responses: (T, n) deconvolved activity as it was given; None
    where it is withheld.
    """

    movie: Array
    behavior: Array
    responses: Array | None = None

    def __len__(self) -> int:
        return len(self.movie)


def from_files(arrays: Mapping[Kind, Array], n_neurons: int) -> Trial:
    """Build a trial from what its files hold, time last; responses may be missing.

    Its length is the shortest of video, pupil centre and responses without the NaN
    they end in; behaviour goes on to the end of the file and tells nothing. Raises
    UserError where the arrays are no trial.
    """
    shapes = {"videos": SHAPE, "behavior": (2,), "pupil_center": (2,)}
    shapes["responses"] = (n_neurons,)
    for kind, array in arrays.items():
        _require_shape(kind, array, shapes[kind], arrays["videos"].shape[-1])
    responses = arrays.get("responses")
    if responses is not None and _withheld(responses):
        responses = None
    padded = [arrays["videos"], arrays["pupil_center"], responses]
    length = min(_length(array) for array in padded if array is not None)
    movie = _by_time(arrays["videos"], length)
    if not length or np.isnan(movie).any():
        raise UserError("its video is NaN, or has NaN between its frames")
    told = np.concatenate([arrays["behavior"], arrays["pupil_center"]])
    return Trial(
        movie=movie,
        behavior=_by_time(told, length),
        responses=None if responses is None else _by_time(responses, length),
    )


def _by_time(array: Array, length: int) -> Array:
    """Return float32 (length, ...), whatever the file's own precision was."""
    return np.ascontiguousarray(np.moveaxis(array[..., :length], -1, 0), np.float32)


def _length(array: Array) -> int:
    """Return frames without the tail of NaN; all of them where nothing else is."""
    frames = array.reshape(-1, array.shape[-1])
    filled = np.flatnonzero(~np.isnan(frames).all(0))
    return int(filled[-1]) + 1 if len(filled) else array.shape[-1]


def _withheld(responses: Array) -> bool:
    return not np.nan_to_num(responses).any()


def _require_shape(
    kind: str, array: Array, shape: tuple[int, ...], n_frames: int
) -> None:
    expected = (*shape, n_frames)
    if array.shape != expected:
        raise UserError(f"{kind} has shape {array.shape} in place of {expected}")
