"""Where receptive fields lie on the screen, and which part of it neurons see."""

from __future__ import annotations

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.simulate.movie import SHAPE

# Spread of the centres of 7776 neurons of one field of view, y and x in px (s.d.):
# mouse 26872-17-20 of SENSORIUM 2022.
RECORDED_SPREAD_PX = (1.7, 2.6)
MIN_SENSITIVITY = 0.1  # of the largest; pixels below it are counted as not seen


def draw_centers(
    n_neurons: int, spread_px: tuple[float, float], rng: np.random.Generator
) -> Array:
    """Return (n, 2) px, y and x, normally distributed around the screen's middle.

    spread_px: s.d. in y and x. Raises UserError where too many lie off the screen.
    """
    middle = np.array(SHAPE) / 2
    centers = middle + np.array(spread_px) * rng.normal(size=(4 * n_neurons, 2))
    on_screen = np.all((centers >= 0) & (centers < SHAPE), axis=1)
    require_on_screen(int(on_screen.sum()), n_neurons)
    return centers[on_screen][:n_neurons]


def require_on_screen(n_on_screen: int, n_neurons: int) -> None:
    """Raise UserError if fewer receptive fields are on the screen than needed."""
    if n_on_screen < n_neurons:
        raise UserError(
            f"only {n_on_screen} neurons have their receptive field on the screen, but "
            f"{n_neurons} are asked for; give fewer neurons or a smaller spread"
        )


def require_screen_size(movie: Array) -> None:
    """Raise UserError unless a movie is (T, 36, 64) and has a frame."""
    if movie.ndim != 3 or movie.shape[1:] != SHAPE or not len(movie):
        raise UserError(
            f"a movie of shape {list(movie.shape)} cannot be shown; the neurons see "
            f"{SHAPE[0]} x {SHAPE[1]} px, so give (frames, {SHAPE[0]}, {SHAPE[1]})"
        )


def describe_seen_field(field: Array) -> str:
    """Return a sentence on the part of the screen that neurons see.

    field: of `Subject.map_seen_field`.
    """
    is_seen = field >= MIN_SENSITIVITY
    rows, columns = np.flatnonzero(is_seen.any(1)), np.flatnonzero(is_seen.any(0))
    height, width = field.shape
    if is_seen.all():
        return "the neurons see the whole screen"
    return (
        f"the neurons see {is_seen.mean():.0%} of the screen: rows {rows[0] + 1} to "
        f"{rows[-1] + 1} of {height}, columns {columns[0] + 1} to {columns[-1] + 1} of "
        f"{width}; nothing is known of the rest"
    )
