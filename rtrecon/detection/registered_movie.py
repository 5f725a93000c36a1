"""A recording made steady and small: motion undone, frames averaged in bins of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import ceil

import numpy as np

from rtrecon.config import RegisterSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.detection.movie import Movie
from rtrecon.imaging.registration.registrar import Registrar, Shift, make_template

Report = Callable[[str, float, str], None]  # stage, share done 0..1, a word more

LEAST_FRAMES = 20
# Many enough for neurons that speak seldom; where the field is large, 1 GiB.
_MOST_BINS, _MOST_VALUES = 1000, 2**28
# A frame in ten may stray further: its border is not worth losing cells for.
_USUAL_SHIFTS = (0.05, 0.95)


@dataclass(frozen=True)
class Steady:
    """What is left of a recording once motion is undone.

    bins: (n, lines, pixels) float32 counts, means of consecutive trusted frames. mean:
    of all of them. seen: the rows and the columns that nearly every frame showed.
    """

    bins: Array
    mean: Array
    seen: tuple[slice, slice]
    n_frames: int
    n_trusted: int


def make_steady(movie: Movie, settings: RegisterSettings, report: Report) -> Steady:
    """Register every frame on a template of the first; leave out those not trusted.

    One pass and at most 1 GiB, however long the recording. Raises UserError where
    there are too few frames, or too few that show the same field.
    """
    total = movie.n_frames
    _require(total >= LEAST_FRAMES, f"the recording has {total} frames")
    registrar = Registrar(_template(movie, settings), settings)
    binning = _Binning(total, movie.shape)
    moved, shifts = np.empty(movie.shape, np.float32), []
    for index, frame in enumerate(movie.frames()):
        if index % 50 == 0:
            report("reading", index / total, f"frame {index} of {total}")
        shift = registrar.estimate(frame)
        if shift.trusted:
            registrar.apply(frame, shift, moved)
            binning.add(moved)
            shifts.append(shift)
    told = f"{len(shifts)} of {total} frames show the field of the first ones"
    _require(len(shifts) >= max(LEAST_FRAMES, total // 10), told)
    report("reading", 1.0, told)
    bins = binning.means()
    return Steady(bins, bins.mean(0), _seen(movie.shape, shifts), total, len(shifts))


class _Binning:
    """Sums frames into as many bins as fit, in the order in which they come."""

    def __init__(self, n_frames: int, shape: tuple[int, int]) -> None:
        most = max(2, min(_MOST_BINS, _MOST_VALUES // (shape[0] * shape[1])))
        self._frames_per_bin = ceil(n_frames / most)
        n_bins = ceil(n_frames / self._frames_per_bin)
        self._sums = np.zeros((n_bins, *shape), np.float32)
        self._n_frames = 0

    def add(self, image: Array) -> None:
        self._sums[self._n_frames // self._frames_per_bin] += image
        self._n_frames += 1

    def means(self) -> Array:
        """Return the full bins' means in the place of the sums; call it once."""
        full = self._sums[: self._n_frames // self._frames_per_bin]
        full /= self._frames_per_bin
        return full


def _require(enough: bool, told: str) -> None:
    if not enough:
        raise UserError(
            f"{told}: too few to find neurons in; give {LEAST_FRAMES} or more of one "
            "field that holds still"
        )


def _template(movie: Movie, settings: RegisterSettings) -> Array:
    first = np.stack(list(islice(movie.frames(), settings.template_frames)))
    try:
        return make_template(first, settings)
    except ValueError as error:  # nothing to see, or too few pixels to see it in
        raise UserError(f"the recording cannot be registered: {error}") from None


def _seen(shape: tuple[int, int], shifts: list[Shift]) -> tuple[slice, slice]:
    """An image moved back by +3 px has no rows of its own among its last three."""
    moved = np.array([(shift.y_px, shift.x_px) for shift in shifts])
    low, high = np.quantile(moved, _USUAL_SHIFTS, axis=0)
    rows, cols = (
        slice(ceil(max(0.0, -first)), side - ceil(max(0.0, last)))
        for side, first, last in zip(shape, low, high, strict=True)
    )
    return rows, cols
