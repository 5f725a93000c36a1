"""Registers a recording and averages its frames in time bins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import ceil

import numpy as np

from rtrecon.config import RegistrationSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.detection.plane_movie import PlaneMovie
from rtrecon.imaging.registration.registrar import FrameShift, Registrar, make_template

# Called with the name of the stage, the share done 0..1, and a short text.
StageProgressCallback = Callable[[str, float, str], None]

MIN_FRAMES = 20
# Enough bins for neurons that are seldom active; at most 1 GiB for a large field.
_MAX_BINS, _MAX_VALUES = 1000, 2**28
# One frame in ten may be shifted further: its border is not worth losing cells for.
_SHIFT_QUANTILES = (0.05, 0.95)


@dataclass(frozen=True)
class RegisteredMovie:
    """A recording after registration and binning.

    bins: (n, lines, pixels) float32 in counts, means of consecutive accepted frames.
    mean: (lines, pixels), the mean of all bins. visible: the rows and the columns that
    nearly every frame shows. n_frames: frames of the recording. n_accepted: frames
    whose registration was accepted.
    """

    bins: Array
    mean: Array
    visible: tuple[slice, slice]
    n_frames: int
    n_accepted: int


def register_movie(
    movie: PlaneMovie,
    settings: RegistrationSettings,
    on_progress: StageProgressCallback,
) -> RegisteredMovie:
    """Register every frame to a template of the first frames; leave out rejected ones.

    Reads the recording once and needs at most 1 GiB, however long it is. Raises
    UserError if there are too few frames, or too few that show the same field.
    """
    total = movie.n_frames
    _require_frames(total >= MIN_FRAMES, f"the recording has {total} frames")
    registrar = Registrar(_make_template(movie, settings), settings)
    binning = _FrameBinning(total, movie.shape)
    registered, shifts = np.empty(movie.shape, np.float32), []
    for index, frame in enumerate(movie.frames()):
        if index % 50 == 0:
            on_progress("reading", index / total, f"frame {index} of {total}")
        shift = registrar.estimate_shift(frame)
        if shift.is_accepted:
            registrar.undo_shift(frame, shift, registered)
            binning.add_frame(registered)
            shifts.append(shift)
    summary = f"{len(shifts)} of {total} frames show the field of the first ones"
    _require_frames(len(shifts) >= max(MIN_FRAMES, total // 10), summary)
    on_progress("reading", 1.0, summary)
    bins = binning.average_bins()
    visible = _find_visible_area(movie.shape, shifts)
    return RegisteredMovie(bins, bins.mean(0), visible, total, len(shifts))


class _FrameBinning:
    """Sums consecutive frames into as many bins as the limits allow."""

    def __init__(self, n_frames: int, shape: tuple[int, int]) -> None:
        max_bins = max(2, min(_MAX_BINS, _MAX_VALUES // (shape[0] * shape[1])))
        self._frames_per_bin = ceil(n_frames / max_bins)
        n_bins = ceil(n_frames / self._frames_per_bin)
        self._sums = np.zeros((n_bins, *shape), np.float32)
        self._n_frames = 0

    def add_frame(self, image: Array) -> None:
        self._sums[self._n_frames // self._frames_per_bin] += image
        self._n_frames += 1

    def average_bins(self) -> Array:
        """Return the means of the full bins; overwrites the sums, so call it once."""
        full = self._sums[: self._n_frames // self._frames_per_bin]
        full /= self._frames_per_bin
        return full


def _require_frames(are_enough: bool, summary: str) -> None:
    if not are_enough:
        raise UserError(
            f"{summary}: too few to find neurons; record {MIN_FRAMES} or more frames "
            "of one field that does not move away"
        )


def _make_template(movie: PlaneMovie, settings: RegistrationSettings) -> Array:
    first = np.stack(list(islice(movie.frames(), settings.template_frames)))
    try:
        return make_template(first, settings)
    except ValueError as error:  # a constant image, or too few pixels
        raise UserError(f"the recording cannot be registered: {error}") from None


def _find_visible_area(
    shape: tuple[int, int], shifts: list[FrameShift]
) -> tuple[slice, slice]:
    """Return rows and columns that are visible in nearly every registered frame.

    An image shifted by +3 px and moved back has no data in its last three rows.
    """
    shifts_px = np.array([(shift.y_px, shift.x_px) for shift in shifts])
    low, high = np.quantile(shifts_px, _SHIFT_QUANTILES, axis=0)
    rows, cols = (
        slice(ceil(max(0.0, -first)), side - ceil(max(0.0, last)))
        for side, first, last in zip(shape, low, high, strict=True)
    )
    return rows, cols
